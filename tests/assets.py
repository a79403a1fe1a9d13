"""A finished asset for tests, and files of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from df3d.plugin.catalog import Catalog
from df3d.types import Asset, Material, Mesh, MeshAsset


def box(width: float = 1.0) -> Asset:
    corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32) * (width, 1, 1)
    faces = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    triangles = np.array([t for a, b, c, d in faces for t in ((a, b, c), (a, c, d))])
    uvs = corners[:, :2] * 0.4 + 0.5
    normals = corners / np.linalg.norm(corners, axis=1, keepdims=True)
    image = np.full((8, 8, 3), (1.0, 0.0, 0.0), np.float32)
    return MeshAsset(
        Mesh(corners.astype(np.float32), triangles, normals, uvs.astype(np.float32)),
        Material(image),
        provenance={"prompt": "a box"},
    )


def write(path: Path, catalog: Catalog, asset: Asset | None = None) -> Path:
    catalog.exporters.get(path.suffix[1:]).load()(None).write(asset or box(), path)
    return path
