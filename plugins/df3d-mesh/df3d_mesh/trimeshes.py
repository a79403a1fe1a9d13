"""df3d's assets as trimesh and Pillow know them."""

from __future__ import annotations

import numpy as np
import trimesh
from PIL import Image

from df3d.types import Mesh, MeshAsset


def texture_image(asset: MeshAsset) -> Image.Image:
    return _image(asset.material.base_color)


def normal_image(asset: MeshAsset) -> Image.Image | None:
    return None if asset.material.normal is None else _image(asset.material.normal)


def _image(texture: np.ndarray) -> Image.Image:
    return Image.fromarray((np.clip(texture, 0, 1) * 255).round().astype(np.uint8))


def shape(mesh: Mesh) -> trimesh.Trimesh:
    """Vertices, faces and normals, nothing merged or reordered."""
    return trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_normals=mesh.normals, process=False)


def texel(asset: MeshAsset, uvs: np.ndarray) -> np.ndarray:
    """(P, 3) texture colours at uvs (P, 2), nearest texel."""
    image = asset.material.base_color
    size = image.shape[0]
    column = np.clip((uvs[:, 0] * size).astype(int), 0, size - 1)
    row = np.clip(((1 - uvs[:, 1]) * size).astype(int), 0, size - 1)
    return image[row, column]


def to_linear(colors: np.ndarray) -> np.ndarray:
    """Of sRGB (IEC 61966-2-1)."""
    return np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)


def to_srgb(colors: np.ndarray) -> np.ndarray:
    return np.where(colors <= 0.0031308, colors * 12.92, 1.055 * np.maximum(colors, 0.0031308) ** (1 / 2.4) - 0.055)
