"""The world's objects as assets: the surface of their solids together, coloured by vertex."""

from __future__ import annotations

import manifold3d
import numpy as np

from df3d.types import Material, Mesh, MeshAsset
from df3d_toybox.world.shapes import Parts, Solid


def asset_of(parts: Parts, *, segments: int = 24) -> MeshAsset:
    """One closed mesh: what lies inside another solid is no surface, and is left out."""
    whole = manifold3d.Manifold.batch_boolean([_manifold(solid, segments) for solid in parts], manifold3d.OpType.Add).to_mesh()
    values = np.asarray(whole.vert_properties, np.float32)
    mesh = Mesh(values[:, :3], np.asarray(whole.tri_verts).astype(np.int64), colors=values[:, 3:].clip(0, 1))
    return MeshAsset(mesh, Material(np.ones((1, 1, 3), np.float32)))


def _manifold(solid: Solid, segments: int) -> manifold3d.Manifold:
    """With its colour at each vertex; corners in one place are one vertex."""
    corners, triangles = solid.mesh(segments)
    places, same = np.unique(corners.round(7), axis=0, return_inverse=True)
    faces = same.reshape(-1)[triangles]
    faces = faces[(faces != np.roll(faces, 1, axis=1)).all(1)]
    values = np.concatenate([places, np.tile(solid.color, (len(places), 1))], axis=1).astype(np.float32)
    return manifold3d.Manifold(manifold3d.Mesh(values, faces.astype(np.uint32)))
