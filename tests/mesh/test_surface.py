from __future__ import annotations

import numpy as np
import pytest
import torch
from fields import Ball

from df3d.errors import EmptyFieldError
from df3d.mesh import surface
from df3d.types import Mesh


def volume(mesh: Mesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, i]].astype(float) for i in range(3))
    return float((np.cross(a, b) * c).sum() / 6)


def edges_are_shared_twice(mesh: Mesh) -> bool:
    edges = np.sort(np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]), axis=1)
    return bool((np.unique(edges, axis=0, return_counts=True)[1] == 2).all())


@pytest.mark.parametrize("inside", [2.0, 10.0, 1000.0])
def test_the_level_is_found_for_any_density(inside: float) -> None:
    mesh = surface.extract(Ball(0.5, inside=inside), resolution=48)
    assert abs(np.linalg.norm(mesh.vertices, axis=1).mean() - 0.5) < 0.06


def test_a_surface_at_the_rim_of_the_grid_is_closed() -> None:
    assert edges_are_shared_twice(surface.extract(Ball(5.0), resolution=24, threshold=10.0))


def test_an_empty_field_says_how_dense_it_is() -> None:
    with pytest.raises(EmptyFieldError, match=r"its densest point has 0\.001"):
        surface.extract(Ball(0.5, inside=0.001), resolution=32)
    with pytest.raises(EmptyFieldError, match="its densest point has 100, the surface needs 500"):
        surface.extract(Ball(0.5), resolution=32, threshold=500.0)


def test_a_field_that_diverged_says_so() -> None:
    with pytest.raises(EmptyFieldError, match="not a number"):
        surface.extract(Ball(0.5, inside=float("nan")), resolution=16)
    with pytest.raises(EmptyFieldError, match="not a number"):
        surface.extract(Ball(0.5, inside=float("nan")), resolution=16, threshold=1.0)


@pytest.mark.parametrize("resolution", [24, 48])
def test_the_surface_covers_as_much_as_the_volume_looks_to(resolution: int) -> None:
    """A ball that fades outwards: its outline is where half of the light goes through, whatever the grid."""

    class Fading(Ball):
        def density(self, points: torch.Tensor) -> torch.Tensor:
            return 6.0 * torch.exp(-((points.norm(dim=-1) / 0.4) ** 2))

    mesh = surface.extract(Fading(), resolution=resolution)
    radius = float(np.linalg.norm(mesh.vertices, axis=1).mean())
    axis = np.linspace(-1, 1, 400)
    y, z = np.meshgrid(axis, axis)
    depth = 6.0 * 0.4 * np.sqrt(np.pi) * np.exp(-((y**2 + z**2) / 0.16))  # along a line through the ball
    area = float((1 - np.exp(-depth)).sum() * (axis[1] - axis[0]) ** 2)
    assert radius == pytest.approx(np.sqrt(area / np.pi), rel=0.06)
