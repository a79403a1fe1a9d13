"""df3d's assets as trimesh knows them."""

from __future__ import annotations

import numpy as np
import trimesh
from PIL import Image

from df3d.types import Asset, Mesh


def texture_image(asset: Asset) -> Image.Image:
    return Image.fromarray((np.clip(asset.material.base_color, 0, 1) * 255).round().astype(np.uint8))


def shape(mesh: Mesh) -> trimesh.Trimesh:
    """Vertices, faces and normals, nothing merged or reordered."""
    return trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_normals=mesh.normals, process=False)


def texel(asset: Asset, uvs: np.ndarray) -> np.ndarray:
    """(P, 3) texture colours at uvs (P, 2), nearest texel."""
    image = asset.material.base_color
    size = image.shape[0]
    column = np.clip((uvs[:, 0] * size).astype(int), 0, size - 1)
    row = np.clip(((1 - uvs[:, 1]) * size).astype(int), 0, size - 1)
    return image[row, column]
