"""Files of other people as df3d's assets: colours as their format means them, and refusals in place of silent nonsense."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import PBRMaterial, SimpleMaterial

from df3d import NoConfig
from df3d.errors import ExportError
from df3d.system.images import FORMATS
from df3d.types import Material, Mesh, MeshAsset
from df3d_mesh import tree as tree_of
from df3d_mesh.beside import Beside
from df3d_mesh.trimeshes import to_linear, to_srgb

WHITE = np.ones((1, 1, 3), np.float32)
FARTHEST = 1e15  # that a vertex may lie: its square is still a number in single precision
LARGEST = 4096  # pixels along a side of a texture that is kept as it is


class MeshImporter:
    """Any GLB, glTF, OBJ, PLY or STL."""

    def __init__(self, config: NoConfig) -> None: ...

    def read(self, path: Path) -> MeshAsset:
        """Raises ExportError when the file is not such a mesh."""
        return read(path)


def read(path: Path) -> MeshAsset:
    """Any GLB, glTF, OBJ, PLY or STL, whoever made it: one mesh, its texture or the colours of its vertices.

    Raises ExportError when the file is not such a mesh.
    """
    beside = Beside(path)
    try:
        data = path.read_bytes()
        tree: tree_of.Tree = {}
        if path.suffix.lower() in (".glb", ".gltf"):
            tree, binary = tree_of.parse(data)
            tree_of.check(tree, binary, beside)
            tree_of.simplify(tree)
            data = tree_of.packed(tree, binary)
        kind = "glb" if tree else path.suffix.lower()[1:]
        keep = {} if tree else {"process": False}  # which would drop what is no number in silence
        scene = trimesh.load_scene(io.BytesIO(data), file_type=kind, resolver=beside, **keep)
        if beside.refused:
            raise ValueError(beside.refused[0])
        for geometry in scene.geometry.values():
            if isinstance(geometry, trimesh.Trimesh):
                if geometry.vertices.shape[1:] != (3,) or geometry.faces.shape[1:] != (3,):
                    raise ValueError("its vertices are not points in space")
                if not (np.abs(geometry.vertices) < FARTHEST).all():
                    raise ValueError("its vertices are not numbers, or beyond all measure")
                if not tree:
                    geometry.process()
                _simplify_colors(geometry, linear=bool(tree))
        mesh = scene.to_mesh()
        if not len(mesh.faces):
            raise ExportError(f"`{path}` holds no triangles", "give a file with a mesh, not with points or curves alone")
        vertices, faces = np.array(mesh.vertices, np.float64), np.array(mesh.faces, np.int64)
        uvs = getattr(mesh.visual, "uv", None)
        if uvs is not None and (uvs.ndim != 2 or uvs.shape[1] < 2):
            raise ValueError("its texture coordinates are not pairs")
        if faces.min() < 0 or faces.max() >= len(vertices) or (uvs is not None and len(uvs) != len(vertices)):
            raise ValueError("its faces name vertices that it does not have")
        if not mesh.area > 0:
            raise ValueError("its vertices are all in one line")
        if uvs is not None and not np.isfinite(uvs).all():
            raise ValueError("its texture coordinates are not numbers")
        normals = np.array(mesh.vertex_normals, np.float32)
    except ExportError:
        raise
    except Exception as error:  # trimesh lets through whatever its parsers stumble over
        lines = str(beside.refused[0] if beside.refused else error).strip().splitlines()
        reason = lines[0] if lines and isinstance(error, (ValueError, OSError)) else "what it says of itself does not fit"
        raise ExportError(f"`{path}` cannot be read: {reason}", "give a GLB, glTF, OBJ, PLY or STL file that is whole") from None
    provenance = _provenance(tree.get("asset", {}).get("extras"))
    picture = getattr(getattr(mesh.visual, "material", None), "image", None)
    if picture is not None and uvs is not None:
        material = Material(np.asarray(picture.convert("RGB"), np.float32) / 255)
        return MeshAsset(Mesh(vertices, faces, normals, uvs=np.asarray(uvs[:, :2], np.float32)), material, provenance=provenance)
    colors = np.asarray(mesh.visual.vertex_colors[:, :3], np.float32) / 255
    return MeshAsset(Mesh(vertices, faces, normals, colors=colors), Material(WHITE), provenance=provenance)


def _provenance(extras: object) -> dict[str, Any]:
    """What a file says of its making: short texts and numbers, and tables of them."""
    if not isinstance(extras, dict):
        return {}
    short = {str(key)[:80]: value for key, value in list(extras.items())[:40]}
    plain = {key: value for key, value in short.items() if isinstance(value, str | int | float) and len(str(value)) <= 2000}
    tables = {key: _provenance(value) for key, value in short.items() if isinstance(value, dict)}
    return plain | {key: value for key, value in tables.items() if not any(isinstance(inner, dict) for inner in value.values())}


def _simplify_colors(mesh: trimesh.Trimesh, *, linear: bool) -> None:
    """Leave the mesh with a texture alone or colours of its vertices alone, in sRGB.

    In glTF factors and vertex colours are linear (glTF 2.0, section 3.9.2), textures are sRGB.
    """
    material, uvs = getattr(mesh.visual, "material", None), getattr(mesh.visual, "uv", None)
    attributes = getattr(mesh.visual, "vertex_attributes", {})
    picture = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    if picture is not None and picture.format not in (*FORMATS, None):  # before any of its pixels are asked for
        raise ValueError(f"its texture is a {picture.format}, which is not read")
    factor = np.ones(3)
    if isinstance(material, PBRMaterial):
        if material.baseColorFactor is not None:
            given = np.asarray(material.baseColorFactor)
            factor = given[:3] / (255.0 if given.dtype.kind == "u" else 1.0)
    elif material is not None and picture is None:
        factor = np.asarray(material.main_color)[:3] / 255.0
    if picture is not None and uvs is not None and not _is_filler(material):
        if max(picture.size) > LARGEST:
            picture.thumbnail((LARGEST, LARGEST))
        if (factor != 1).any():
            pixels = np.asarray(picture.convert("RGB"), np.float32) / 255
            scaled = to_srgb(to_linear(pixels) * factor) if linear else pixels * factor
            picture = Image.fromarray((np.clip(scaled, 0, 1) * 255).round().astype(np.uint8))
        mesh.visual = TextureVisuals(uv=uvs, material=SimpleMaterial(image=picture.convert("RGB")))
        return
    if mesh.visual.kind in ("vertex", "face"):
        colors = np.asarray(mesh.visual.vertex_colors)[:, :3] / 255.0
    elif "color" in attributes:
        given = np.asarray(attributes["color"])
        colors = given[:, :3] / (np.iinfo(given.dtype).max if given.dtype.kind == "u" else 1.0)
    else:
        colors = np.ones((1, 3))
    colors = np.broadcast_to(colors * factor, (len(mesh.vertices), 3))
    mesh.visual = ColorVisuals(
        mesh, vertex_colors=((to_srgb(colors) if linear else colors).clip(0, 1) * 255).round().astype(np.uint8)
    )


def _is_filler(material: Any) -> bool:
    """Whether this is the grey that trimesh makes up for an OBJ without its MTL."""
    picture = getattr(material, "image", None)
    return picture is not None and picture.size == (2, 2) and np.ptp(np.asarray(picture.convert("RGB")), axis=(0, 1)).max() == 0
