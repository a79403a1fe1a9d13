"""Files of other people as df3d's assets: colours as their format means them, and refusals in place of silent nonsense."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from PIL import Image

from df3d import NoConfig
from df3d.errors import ExportError
from df3d.mesh.srgb import to_linear, to_srgb
from df3d.types import Material, Mesh, MeshAsset
from df3d_mesh.reading import gltf_tree
from df3d_mesh.reading.beside import Beside
from df3d_mesh.reading.gltf_materials import WHITE, Materials, Painted
from df3d_mesh.reading.gltf_scene import Part, Scene
from df3d_mesh.reading.obj import read_obj
from df3d_mesh.reading.ply import read_ply
from df3d_mesh.reading.stl import read_stl

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
        asset = READERS[path.suffix.lower()](path, beside)
        _check_mesh(asset.mesh, path)
    except ExportError:
        raise
    except Exception as error:  # trimesh lets through whatever its parsers stumble over
        reason = beside.refused[0] if beside.refused else _reason(error)
        raise ExportError(
            f"`{path}` cannot be read: {reason}",
            "give a GLB, glTF, OBJ, PLY or STL file that is whole; make it simpler if it is too large",
        ) from None
    return asset


def _reason(error: Exception) -> str:
    """One line of what a parser stumbled over."""
    if isinstance(error, KeyError):
        return f"something in it lacks its `{error.args[0]!s:.40}`"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: `{error.filename!s:.80}`" if error.filename else error.strerror
    lines = str(error).strip().splitlines()
    if lines and isinstance(error, ValueError) and not isinstance(error, UnicodeError):
        return lines[0]
    return f"its data are not as its format has them ({type(error).__name__})"


def _check_mesh(mesh: Mesh, path: Path) -> None:
    """Raises ValueError or ExportError when this is no surface."""
    vertices, faces = mesh.vertices, mesh.faces
    if not len(faces):
        raise ExportError(f"`{path}` holds no triangles", "give a file with a mesh, not with points or curves alone")
    if faces.min() < 0 or faces.max() >= len(vertices) or (mesh.uvs is not None and len(mesh.uvs) != len(vertices)):
        raise ValueError("its faces name vertices that it does not have")
    if not (np.abs(vertices) < FARTHEST).all():
        raise ValueError(f"a vertex of it is no number, or farther than {FARTHEST:g} from the origin")
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
    parts = [_apart(part, materials.get(part.material), notes) for part in scene.parts()]
    return replace(assembled(parts, notes), provenance=_provenance(tree["asset"].get("extras")))


def _apart(part: Part, paint: Painted, notes: list[str]) -> tuple[Part, Painted]:
    """With its own light in the colours of its vertices, which tint the material and not that light."""
    glow = np.array(paint.glow)
    if part.colors is None or not glow.any():
        return part, paint
    if paint.coordinates is not None:
        notes.append("the colours of its vertices tint the light that a material gives itself, too")
        return part, paint
    colors = part.colors.copy()
    colors[:, :3] = (part.colors[:, :3] * np.array(paint.surface) + glow).clip(0, 1)
    return replace(part, colors=colors), replace(paint, material=replace(paint.material, base_color=WHITE))


def assembled(parts: Sequence[tuple[Part, Painted]], notes: Sequence[str]) -> MeshAsset:
    """One mesh of parts, whose faces know their material."""
    offsets = np.cumsum([0, *(len(part.vertices) for part, _ in parts)])
    vertices = _joined([part.vertices for part, _ in parts], (0, 3), np.float64)
    faces = _joined([part.faces + start for (part, _), start in zip(parts, offsets, strict=False)], (0, 3), np.int64)
    painted = list({id(paint): paint for _, paint in parts}.values())
    place = {id(paint): index for index, paint in enumerate(painted)}
    which = _joined([np.full(len(part.faces), place[id(paint)]) for part, paint in parts], (0,), np.int64)
    told = list(dict.fromkeys(notes))
    if any(p.coordinates is not None and len(part.faces) and p.coordinates.set not in part.coordinates for part, p in parts):
        told.append("a texture lies by coordinates that its mesh does not have, and is drawn in one colour")
    thin = {id(paint) for part, paint in parts if _lets_light_through(part, paint)}
    colors = None
    if any(part.colors is not None for part, _ in parts):
        colors = _joined([_tint(part, paint, 4 if thin else 3) for part, paint in parts], (0, 3), np.float64)
        if not np.isfinite(colors).all():
            told.append("some colours of its vertices are no numbers, and are drawn white")
            colors = np.nan_to_num(colors, nan=1.0, posinf=1.0, neginf=0.0)
        colors = colors.clip(0, 1)
    materials = [paint.material if id(paint) in thin else _simplest(paint.material) for paint in painted]
    mesh = Mesh(vertices, faces, _normals(parts, vertices, faces))
    sides = {material.two_sided for material in materials}
    if len(sides) < 2 and all(p.coordinates is None and m.opacity is None for p, m in zip(painted, materials, strict=True)):
        plain = [to_linear(paint.material.base_color[0, 0]) * np.ones((len(part.vertices), 1)) for part, paint in parts]
        tinted = _joined(plain, (0, 3), np.float64) * (1 if colors is None else colors)
        mesh = replace(mesh, colors=to_srgb(tinted.clip(0, 1)).astype(np.float32))
        return MeshAsset(mesh, Material(WHITE, two_sided=sides != {False}), notes=tuple(told))
    uvs = _joined([_uvs(part, paint) for part, paint in parts], (0, 2), np.float32)
    if colors is not None:
        colors = np.concatenate([to_srgb(colors[:, :3]), colors[:, 3:]], axis=1).astype(np.float32)
    mesh = replace(
        mesh,
        uvs=np.stack([uvs[:, 0], 1 - uvs[:, 1]], axis=1),
        colors=colors,
        materials=which if len(painted) > 1 else None,
    )
    return MeshAsset(mesh, materials[0], others=tuple(materials[1:]), notes=tuple(told))


def _lets_light_through(part: Part, paint: Painted) -> bool:
    """Whether the opacity of its vertices is seen."""
    return paint.material.opacity is not None and part.colors is not None and bool((part.colors[:, 3:] < 1).any())


def _simplest(material: Material) -> Material:
    """Without opacity where all of it is solid."""
    opacity = material.opacity
    solid = opacity is None or bool((opacity == (255 if opacity.dtype == np.uint8 else 1)).all())
    return replace(material, opacity=None) if solid else material


def _tint(part: Part, paint: Painted, width: int) -> np.ndarray:
    """(P, `width`) linear colours of its vertices, and their opacity where the material has one."""
    found = np.ones((len(part.vertices), width))
    if part.colors is not None:
        known = min(width if paint.material.opacity is not None else 3, part.colors.shape[1])
        found[:, :known] = part.colors[:, :known]
    return found


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


READERS: dict[str, Callable[[Path, Beside], MeshAsset]] = {
    ".glb": read_gltf, ".gltf": read_gltf,
    ".obj": _of_parts(read_obj), ".ply": _of_parts(read_ply), ".stl": _of_parts(read_stl),
}  # fmt: skip


def _provenance(extras: object) -> dict[str, Any]:
    """What a file says of its making: short texts and numbers, and tables of them."""
    if not isinstance(extras, dict):
        return {}
    short = {str(key)[:80]: value for key, value in list(extras.items())[:40]}
    plain = {key: value for key, value in short.items() if isinstance(value, str | int | float) and len(str(value)) <= 2000}
    tables = {key: _provenance(value) for key, value in short.items() if isinstance(value, dict)}
    return plain | {key: value for key, value in tables.items() if not any(isinstance(inner, dict) for inner in value.values())}
