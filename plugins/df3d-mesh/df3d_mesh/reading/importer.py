"""Files of other people as df3d's assets: colours as their format means them, and refusals in place of silent nonsense."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from PIL import Image

from df3d import NoConfig
from df3d.errors import ExportError
from df3d.mesh.finished import to_linear, to_srgb
from df3d.types import Material, Mesh, MeshAsset
from df3d_mesh.reading import gltf_tree
from df3d_mesh.reading.beside import Beside
from df3d_mesh.reading.gltf_materials import WHITE, Materials, Painted
from df3d_mesh.reading.gltf_scene import Part, Scene
from df3d_mesh.reading.obj import read_obj
from df3d_mesh.reading.ply import read_ply

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
        asset = READERS.get(path.suffix.lower(), _read_other)(path, beside)
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
    tree, binary = gltf_tree.parse(path.read_bytes())
    buffers, notes = gltf_tree.check(tree, binary, beside)
    scene = Scene(tree, buffers, notes)

    def picture(index: int) -> Image.Image | None:
        entry = tree["images"][index]
        name = str(entry.get("name") or entry.get("uri", ""))[:80] or f"number {index}"
        return beside.picture(name, lambda: gltf_tree.image(tree, index, buffers, beside), notes)

    materials = Materials(tree, picture, notes.append)
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


def _of_parts(parts_of: Callable[[Path, Beside, list[str]], list[tuple[Part, Painted]]]) -> Callable[[Path, Beside], MeshAsset]:
    def read(path: Path, beside: Beside) -> MeshAsset:
        notes: list[str] = []
        return assembled(parts_of(path, beside, notes), notes)

    return read


def _read_other(path: Path, beside: Beside) -> MeshAsset:
    """STL, as trimesh reads it: shape alone."""
    mesh = trimesh.load_scene(io.BytesIO(path.read_bytes()), file_type=path.suffix.lower()[1:], process=False).to_mesh()
    if not np.isfinite(mesh.vertices).all():
        raise ValueError("its vertices are not numbers, or beyond all measure")
    mesh.process()
    vertices, faces = np.array(mesh.vertices, np.float64), np.array(mesh.faces, np.int64)
    normals = np.array(mesh.vertex_normals, np.float32)
    return MeshAsset(Mesh(vertices, faces, normals, colors=np.ones((len(vertices), 3), np.float32)), Material(WHITE))


READERS = {".glb": read_gltf, ".gltf": read_gltf, ".obj": _of_parts(read_obj), ".ply": _of_parts(read_ply)}


def _provenance(extras: object) -> dict[str, Any]:
    """What a file says of its making: short texts and numbers, and tables of them."""
    if not isinstance(extras, dict):
        return {}
    short = {str(key)[:80]: value for key, value in list(extras.items())[:40]}
    plain = {key: value for key, value in short.items() if isinstance(value, str | int | float) and len(str(value)) <= 2000}
    tables = {key: _provenance(value) for key, value in short.items() if isinstance(value, dict)}
    return plain | {key: value for key, value in tables.items() if not any(isinstance(inner, dict) for inner in value.values())}
