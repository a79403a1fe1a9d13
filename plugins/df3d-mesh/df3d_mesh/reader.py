"""Files of other people as df3d's assets: colours as their format means them, and refusals in place of silent nonsense."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import PBRMaterial, SimpleMaterial

from df3d import NoConfig
from df3d.errors import ExportError
from df3d.types import Material, Mesh, MeshAsset
from df3d_mesh.trimeshes import to_linear, to_srgb

WHITE = np.ones((1, 1, 3), np.float32)
LARGEST = 4096  # pixels along a side of a texture that is kept as it is
MOST = 20_000_000  # numbers of vertices or corners that a glTF may speak of
READABLE = ("KHR_materials_", "KHR_lights_punctual", "KHR_node_visibility", "KHR_xmp", "EXT_texture_webp")  # or without effect here


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
    try:
        tree = _tree(path)
        _check(tree, path)
        scene = trimesh.load_scene(path, **({} if tree else {"process": False}))  # which would drop what is no number in silence
        for geometry in scene.geometry.values():
            if isinstance(geometry, trimesh.Trimesh):
                if not np.isfinite(geometry.vertices).all():
                    raise ValueError("its vertices are not numbers")
                if not tree:
                    geometry.process()
                _simplify_colors(geometry, linear=bool(tree))
        mesh = scene.to_mesh()
        if not len(mesh.faces):
            raise ExportError(f"`{path}` holds no triangles", "give a file with a mesh, not with points or curves alone")
        vertices, faces = np.array(mesh.vertices, np.float64), np.array(mesh.faces, np.int64)
        uvs = getattr(mesh.visual, "uv", None)
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
        lines = str(error).strip().splitlines()
        reason = lines[0] if lines and isinstance(error, (ValueError, OSError)) else "what it says of itself does not fit"
        raise ExportError(f"`{path}` cannot be read: {reason}", "give a GLB, glTF, OBJ, PLY or STL file that is whole") from None
    extras = tree.get("asset", {}).get("extras", {})
    provenance = extras if isinstance(extras, dict) else {}
    picture = getattr(getattr(mesh.visual, "material", None), "image", None)
    if picture is not None and uvs is not None:
        material = Material(np.asarray(picture.convert("RGB"), np.float32) / 255)
        return MeshAsset(Mesh(vertices, faces, normals, uvs=np.asarray(uvs, np.float32)), material, provenance=provenance)
    colors = np.asarray(mesh.visual.vertex_colors[:, :3], np.float32) / 255
    return MeshAsset(Mesh(vertices, faces, normals, colors=colors), Material(WHITE), provenance=provenance)


def _tree(path: Path) -> dict[str, Any]:
    """The JSON of a GLB or glTF; of any other file {}."""
    if path.suffix.lower() not in (".glb", ".gltf"):
        return {}
    data = path.read_bytes()
    if data[:4] == b"glTF":
        (length,) = struct.unpack_from("<I", data, 12)
        data = data[20 : 20 + length]
    tree = json.loads(data)
    if not isinstance(tree, dict) or not isinstance(tree.get("asset"), dict):
        raise ValueError("it is no glTF")
    return tree


def _check(tree: dict[str, Any], path: Path) -> None:
    """Refuse what trimesh would pass over in silence, or make far larger than the file.

    Raises ExportError.
    """

    def refuse(what: str) -> None:
        raise ExportError(f"`{path}` cannot be read: it {what}", "save it again in Blender, say, without that")

    for extension in tree.get("extensionsRequired", []):
        if not extension.startswith(READABLE):
            refuse(f"needs the extension {extension}")
    accessors = tree.get("accessors", [])
    if any("sparse" in accessor for accessor in accessors):
        refuse("has sparse accessors")
    parts = [mesh.get("primitives", []) for mesh in tree.get("meshes", [])]
    for part in (part for primitives in parts for part in primitives):
        if part.get("mode", 4) == 6:
            refuse("has triangle fans")
        place = part.get("attributes", {}).get("TEXCOORD_0")
        if place is not None and accessors[place].get("componentType") != 5126:
            refuse("has texture coordinates that are integers")
    drawn = [part for node in tree.get("nodes", []) if "mesh" in node for part in parts[node["mesh"]]]
    corners = sum(accessors[part.get("indices", part["attributes"]["POSITION"])]["count"] for part in drawn)
    if max(corners, sum(accessor.get("count", 0) for accessor in accessors)) > MOST:
        refuse(f"speaks of more than {MOST:,} vertices or corners")


def _simplify_colors(mesh: trimesh.Trimesh, *, linear: bool) -> None:
    """Leave the mesh with a texture alone or colours of its vertices alone, in sRGB.

    In glTF factors and vertex colours are linear (glTF 2.0, section 3.9.2), textures are sRGB.
    """
    material, uvs = getattr(mesh.visual, "material", None), getattr(mesh.visual, "uv", None)
    attributes = getattr(mesh.visual, "vertex_attributes", {})
    picture = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
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
