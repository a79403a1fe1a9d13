"""df3d's assets as trimesh and Pillow know them."""

from __future__ import annotations

import numpy as np
import trimesh
from PIL import Image

from df3d.errors import ExportError
from df3d.mesh.finished import as_bytes, as_floats
from df3d.types import Material, Mesh, MeshAsset, Wrap


def texture_image(material: Material) -> Image.Image:
    """Its colours, and its opacity where it has one."""
    picture = Image.fromarray(as_bytes(material.base_color))
    if material.opacity is not None:
        picture.putalpha(Image.fromarray(as_bytes(material.opacity)))
    return picture


def normal_image(material: Material) -> Image.Image | None:
    return None if material.normal is None else Image.fromarray(as_bytes(material.normal))


def shape(mesh: Mesh) -> trimesh.Trimesh:
    """Vertices, faces and normals, nothing merged or reordered."""
    return trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_normals=mesh.normals, process=False)


def texel(asset: MeshAsset, uvs: np.ndarray) -> np.ndarray:
    """(P, 3) texture colours at uvs (P, 2), nearest texel."""
    image = asset.material.base_color
    height, width = image.shape[:2]
    u, v = (_wrapped(uvs[:, axis], kind) for axis, kind in enumerate(asset.material.wrap))
    column = np.clip((u * width).astype(int), 0, width - 1)
    row = np.clip(((1 - v) * height).astype(int), 0, height - 1)
    return as_floats(image[row, column])


def _wrapped(values: np.ndarray, kind: Wrap) -> np.ndarray:
    """Into [0, 1], as a texture goes on outside."""
    if kind == "mirror":
        return 1 - np.abs(values % 2 - 1)
    return values.clip(0, 1) if kind == "clamp" else np.where((values < 0) | (values > 1), values % 1, values)


def leaves(uvs: np.ndarray) -> bool:
    """Whether texture coordinates lie outside [0, 1], where a texture goes on."""
    return bool(((uvs < 0) | (uvs > 1)).any())


def check_simple(asset: MeshAsset, kind: str, *, baked: bool = False) -> None:
    """Raises ExportError when a format, as it is written here, would lose something that is seen.

    With `baked`, its vertices have the colours of the texture.
    """
    mesh, lost = asset.mesh, None
    if asset.others:
        lost = f"one material, and this mesh has {len(asset.materials)}"
    elif asset.material.opacity is not None:
        lost = "no opacity, and this mesh has one"
    elif mesh.uvs is not None and mesh.colors is not None and not baked:
        lost = "a texture or colours of vertices, and this mesh has both"
    elif mesh.uvs is not None and asset.material.wrap != ("repeat", "repeat") and not baked and leaves(mesh.uvs):
        lost = "textures that repeat, and this mesh has one that does not"
    if lost:
        raise ExportError(f"{kind} files are written with {lost}", "write a GLB")
