from __future__ import annotations

import numpy as np
from fields import Ball

from df3d import surface, texture
from df3d.types import Mesh


def textured(size: int = 256) -> tuple[Mesh, np.ndarray]:
    mesh = surface.clean(surface.extract(Ball(0.5), resolution=32), keep=0.02, faces=400)
    mesh = texture.unwrap(mesh, size=size)
    return mesh, texture.bake(mesh, Ball(0.5), size=size)


def lookup(mesh: Mesh, image: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions and texture colours at one place in every face."""
    assert mesh.uvs is not None
    position = np.einsum("c,fcx->fx", weights, mesh.vertices[mesh.faces])
    uv = np.einsum("c,fcx->fx", weights, mesh.uvs[mesh.faces])
    column, row = np.clip(np.stack([uv[:, 0], 1 - uv[:, 1]]) * image.shape[0], 0, image.shape[0] - 1).astype(int)
    return position, image[row, column]


def test_the_texture_shows_the_field_at_every_face() -> None:
    mesh, image = textured()
    position, color = lookup(mesh, image, np.array([0.4, 0.35, 0.25]))
    error = np.abs(color - (position * 0.5 + 0.5)).max(1)
    assert np.median(error) < 0.01
    assert error.mean() < 0.03


def test_islands_do_not_overlap_and_lie_within_the_texture() -> None:
    mesh, _ = textured()
    assert mesh.uvs is not None
    assert mesh.uvs.min() >= 0
    assert mesh.uvs.max() <= 1
    a, b, c = (mesh.uvs[mesh.faces[:, i]].astype(float) for i in range(3))
    area = np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]).sum() / 2
    assert 0.2 < area < 1.0


def test_texels_outside_the_islands_repeat_the_nearest_inside() -> None:
    _, image = textured()
    assert image.min() > 0.2  # a ball of radius 0.5 has albedo within 0.25 to 0.75: nothing is left black
    assert image.max() < 0.8


def test_normals_stay_smooth_across_seams() -> None:
    mesh, _ = textured()
    assert mesh.normals is not None
    towards = mesh.vertices / np.linalg.norm(mesh.vertices, axis=1, keepdims=True)
    assert ((mesh.normals * towards).sum(1) > 0.7).all()
