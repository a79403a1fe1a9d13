"""df3d's assets as trimesh and Pillow know them."""

from __future__ import annotations

import numpy as np
import trimesh
from PIL import Image

from df3d.mesh.finished import as_bytes, as_floats
from df3d.types import Mesh, MeshAsset


def texture_image(asset: MeshAsset) -> Image.Image:
    return _image(asset.material.base_color)


def normal_image(asset: MeshAsset) -> Image.Image | None:
    return None if asset.material.normal is None else _image(asset.material.normal)


def _image(texture: np.ndarray) -> Image.Image:
    return Image.fromarray(as_bytes(texture))


def shape(mesh: Mesh) -> trimesh.Trimesh:
    """Vertices, faces and normals, nothing merged or reordered."""
    return trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_normals=mesh.normals, process=False)


def texel(asset: MeshAsset, uvs: np.ndarray) -> np.ndarray:
    """(P, 3) texture colours at uvs (P, 2), nearest texel."""
    image = asset.material.base_color
    size = image.shape[0]
    column = np.clip((uvs[:, 0] * size).astype(int), 0, size - 1)
    row = np.clip(((1 - uvs[:, 1]) * size).astype(int), 0, size - 1)
    return as_floats(image[row, column])
