"""The world's objects as assets: the meshes of their solids together, coloured by vertex."""

from __future__ import annotations

import numpy as np

from df3d.types import Material, Mesh, MeshAsset
from df3d_toybox.world.shapes import Parts


def asset_of(parts: Parts, *, segments: int = 24) -> MeshAsset:
    """One mesh with each solid's faces apart; where solids overlap, so do their surfaces."""
    vertices, faces, colors, start = [], [], [], 0
    for solid in parts:
        corners, triangles = solid.mesh(segments)
        vertices.append(corners)
        faces.append(triangles + start)
        colors.append(np.tile(solid.color, (len(corners), 1)))
        start += len(corners)
    mesh = Mesh(
        np.concatenate(vertices).astype(np.float32), np.concatenate(faces), colors=np.concatenate(colors).astype(np.float32)
    )
    return MeshAsset(mesh, Material(np.ones((1, 1, 3), np.float32)))
