"""Files of other people as df3d's assets: colours as their format means them, and refusals in place of silent nonsense."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import SimpleMaterial

from df3d import NoConfig
from df3d.errors import ExportError
from df3d.mesh.finished import to_linear, to_srgb
from df3d.system.images import FORMATS
from df3d.types import Material, Mesh, MeshAsset
from df3d_mesh import tree as tree_of
from df3d_mesh.beside import Beside
from df3d_mesh.gltf_materials import Materials, Painted, as_array
from df3d_mesh.gltf_scene import Part, Scene

WHITE = np.ones((1, 1, 3), np.float32)
FARTHEST = 1e15  # that a vertex may lie: its square is still a number in single precision


class MeshImporter:
    """Any GLB, glTF, OBJ, PLY or STL."""

    def __init__(self, config: NoConfig) -> None: ...

    def read(self, path: Path) -> MeshAsset:
        """Raises ExportError when the file is not such a mesh."""
        return read(path)


def read(path: Path) -> MeshAsset:
    """Any GLB, glTF, OBJ, PLY or STL, whoever made it: its shape, and what it is painted with.

    Raises ExportError when the file is not such a mesh.
    """
    beside = Beside(path)
    try:
        asset = read_gltf(path, beside) if path.suffix.lower() in (".glb", ".gltf") else _read_other(path, beside)
        _check_mesh(asset.mesh, path)
    except ExportError:
        raise
    except Exception as error:  # trimesh lets through whatever its parsers stumble over
        lines = str(beside.refused[0] if beside.refused else error).strip().splitlines()
        told = lines and isinstance(error, (ValueError, OSError)) and not isinstance(error, UnicodeError)
        reason = lines[0] if told else f"it is damaged ({type(error).__name__} where its data are taken apart)"
        raise ExportError(f"`{path}` cannot be read: {reason}", "give a GLB, glTF, OBJ, PLY or STL file that is whole") from None
    return asset


def _check_mesh(mesh: Mesh, path: Path) -> None:
    """Raises ValueError or ExportError when this is no surface."""
    vertices, faces = mesh.vertices, mesh.faces
    if not len(faces):
        raise ExportError(f"`{path}` holds no triangles", "give a file with a mesh, not with points or curves alone")
    if faces.min() < 0 or faces.max() >= len(vertices) or (mesh.uvs is not None and len(mesh.uvs) != len(vertices)):
        raise ValueError("its faces name vertices that it does not have")
    if not (np.abs(vertices) < FARTHEST).all():
        raise ValueError("its vertices are not numbers, or beyond all measure")
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    if not np.linalg.norm(np.cross(b - a, c - a), axis=1).any():
        raise ValueError("its vertices are all in one line")
    if mesh.uvs is not None and not np.isfinite(mesh.uvs).all():
        raise ValueError("its texture coordinates are not numbers")


def read_gltf(path: Path, beside: Beside) -> MeshAsset:
    """What a GLB or glTF shows.

    Raises ValueError and others when it cannot be read.
    """
    tree, binary = tree_of.parse(path.read_bytes())
    buffers, notes = tree_of.check(tree, binary, beside)
    scene = Scene(tree, buffers, notes)

    def picture(index: int) -> Image.Image | None:
        entry = tree["images"][index]
        name = str(entry.get("name") or entry.get("uri", ""))[:80] or f"number {index}"
        try:
            found = beside.open_picture(tree_of.image(tree, index, buffers, beside), name)
            found.load()
        except FileNotFoundError:
            notes.append(f"its texture `{name}` is not there")
        except OSError as error:
            if beside.refused:
                raise ValueError(beside.refused[0]) from None
            notes.append(f"its texture `{name}` is damaged: {error}")
        except ValueError as error:
            raise ValueError(f"its texture `{name}`: {error}") from None
        else:
            return found
        return None

    materials = Materials(tree, picture, lambda text: notes.append(text))
    parts = [(part, materials.get(part.material)) for part in scene.parts()]
    return replace(assembled(parts, notes), provenance=_provenance(tree["asset"].get("extras")))


def assembled(parts: Sequence[tuple[Part, Painted]], notes: Sequence[str]) -> MeshAsset:
    """One mesh of parts, whose faces know their material."""
    offsets = np.cumsum([0, *(len(part.vertices) for part, _ in parts)])
    vertices = _joined([part.vertices for part, _ in parts], (0, 3), np.float64)
    faces = _joined([part.faces + start for (part, _), start in zip(parts, offsets, strict=False)], (0, 3), np.int64)
    painted = list({id(paint): paint for _, paint in parts}.values())
    place = {id(paint): index for index, paint in enumerate(painted)}
    which = _joined([np.full(len(part.faces), place[id(paint)]) for part, paint in parts], (0,), np.int64)
    colors = [_tint(part) for part, _ in parts] if any(part.colors is not None for part, _ in parts) else None
    told = list(dict.fromkeys(notes))
    if any(part.colors is not None and part.colors.shape[1] == 4 and (part.colors[:, 3] < 1).any() for part, _ in parts):
        told.append("the opacity of its vertices is not drawn")
    mesh = Mesh(vertices, faces, _normals(parts, vertices, faces))
    flat = all(paint.coordinates is None and paint.material.opacity is None for paint in painted)
    sides = {paint.material.two_sided for paint in painted}
    if flat and len(sides) < 2:  # colours alone
        plain = [to_linear(paint.material.base_color[0, 0]) * np.ones((len(part.vertices), 1)) for part, paint in parts]
        tinted = plain if colors is None else [a * b for a, b in zip(plain, colors, strict=True)]
        mesh = replace(mesh, colors=to_srgb(_joined(tinted, (0, 3), np.float64).clip(0, 1)).astype(np.float32))
        return MeshAsset(mesh, Material(WHITE, two_sided=sides != {False}), notes=tuple(told))
    uvs = _joined([_uvs(part, paint) for part, paint in parts], (0, 2), np.float32)
    mesh = replace(
        mesh,
        uvs=np.stack([uvs[:, 0], 1 - uvs[:, 1]], axis=1),
        colors=None if colors is None else to_srgb(_joined(colors, (0, 3), np.float64).clip(0, 1)).astype(np.float32),
        materials=which if len(painted) > 1 else None,
    )
    return MeshAsset(mesh, painted[0].material, others=tuple(paint.material for paint in painted[1:]), notes=tuple(told))


def _tint(part: Part) -> np.ndarray:
    return np.ones((len(part.vertices), 3)) if part.colors is None else part.colors[:, :3].astype(np.float64)


def _uvs(part: Part, paint: Painted) -> np.ndarray:
    """(P, 2), origin at the top left; zeros where there is no picture."""
    if paint.coordinates is None or paint.coordinates.set not in part.coordinates:
        return np.zeros((len(part.vertices), 2), np.float32)
    return paint.coordinates.moved(part.coordinates[paint.coordinates.set])


def _joined(arrays: Sequence[np.ndarray], empty: tuple[int, ...], dtype: Any) -> np.ndarray:
    return np.concatenate([np.asarray(array, dtype) for array in arrays]) if arrays else np.zeros(empty, dtype)


def _normals(parts: Sequence[tuple[Part, Painted]], vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(P, 3) float32: the file's, or those of the faces around each vertex."""
    if parts and all(part.normals is not None for part, _ in parts):
        return _joined([part.normals for part, _ in parts if part.normals is not None], (0, 3), np.float32)
    return np.asarray(trimesh.Trimesh(vertices, faces, process=False).vertex_normals, np.float32)


def _read_other(path: Path, beside: Beside) -> MeshAsset:
    """What trimesh reads: OBJ, PLY, STL."""
    kind = path.suffix.lower()[1:]
    # `process` would drop what is no number in silence
    scene = trimesh.load_scene(io.BytesIO(path.read_bytes()), file_type=kind, resolver=beside, process=False)
    if beside.refused:
        raise ValueError(beside.refused[0])
    for geometry in scene.geometry.values():
        if isinstance(geometry, trimesh.Trimesh):
            if geometry.vertices.shape[1:] != (3,) or geometry.faces.shape[1:] != (3,):
                raise ValueError("its vertices are not points in space")
            if not (np.abs(geometry.vertices) < FARTHEST).all():
                raise ValueError("its vertices are not numbers, or beyond all measure")
            geometry.process()
            _simplify_colors(geometry)
    mesh = scene.to_mesh()
    vertices, faces = np.array(mesh.vertices, np.float64), np.array(mesh.faces, np.int64)
    uvs = getattr(mesh.visual, "uv", None)
    if uvs is not None and (uvs.ndim != 2 or uvs.shape[1] < 2):
        raise ValueError("its texture coordinates are not pairs")
    normals = np.array(mesh.vertex_normals, np.float32)
    picture = getattr(getattr(mesh.visual, "material", None), "image", None)
    if picture is not None and uvs is not None:
        material = Material(np.asarray(picture.convert("RGB"), np.float32) / 255)
        return MeshAsset(Mesh(vertices, faces, normals, uvs=np.asarray(uvs[:, :2], np.float32)), material)
    colors = np.asarray(mesh.visual.vertex_colors[:, :3], np.float32) / 255
    return MeshAsset(Mesh(vertices, faces, normals, colors=colors), Material(WHITE))


def _provenance(extras: object) -> dict[str, Any]:
    """What a file says of its making: short texts and numbers, and tables of them."""
    if not isinstance(extras, dict):
        return {}
    short = {str(key)[:80]: value for key, value in list(extras.items())[:40]}
    plain = {key: value for key, value in short.items() if isinstance(value, str | int | float) and len(str(value)) <= 2000}
    tables = {key: _provenance(value) for key, value in short.items() if isinstance(value, dict)}
    return plain | {key: value for key, value in tables.items() if not any(isinstance(inner, dict) for inner in value.values())}


def _simplify_colors(mesh: trimesh.Trimesh) -> None:
    """Leave the mesh with a texture alone or colours of its vertices alone, in sRGB, as these formats have them."""
    material, uvs = getattr(mesh.visual, "material", None), getattr(mesh.visual, "uv", None)
    attributes = getattr(mesh.visual, "vertex_attributes", {})
    picture = getattr(material, "image", None)
    if picture is not None and picture.format not in (*FORMATS, None):  # before any of its pixels are asked for
        raise ValueError(f"its texture is a {picture.format}, which is not read")
    if picture is not None and uvs is not None and not _is_filler(material):
        image = Image.fromarray(as_array(picture)[..., :3])
        mesh.visual = TextureVisuals(uv=uvs, material=SimpleMaterial(image=image))
        return
    factor = np.ones(3) if material is None or picture is not None else np.asarray(material.main_color)[:3] / 255.0
    if mesh.visual.kind in ("vertex", "face"):
        colors = np.asarray(mesh.visual.vertex_colors)[:, :3] / 255.0
    elif "color" in attributes:
        given = np.asarray(attributes["color"])
        colors = given[:, :3] / (np.iinfo(given.dtype).max if given.dtype.kind == "u" else 1.0)
    else:
        colors = np.ones((1, 3))
    colors = np.broadcast_to(colors * factor, (len(mesh.vertices), 3))
    mesh.visual = ColorVisuals(mesh, vertex_colors=(colors.clip(0, 1) * 255).round().astype(np.uint8))


def _is_filler(material: Any) -> bool:
    """Whether this is the grey that trimesh makes up for an OBJ without its MTL."""
    picture = getattr(material, "image", None)
    return picture is not None and picture.size == (2, 2) and np.ptp(np.asarray(picture.convert("RGB")), axis=(0, 1)).max() == 0
