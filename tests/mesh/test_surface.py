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


def test_the_surface_lies_where_the_density_falls_to_the_threshold() -> None:
    """Not a cell or half of one beside it, on any axis."""

    class Beside(Ball):
        def density(self, points: torch.Tensor) -> torch.Tensor:
            return super().density(points - torch.tensor([0.2, -0.1, 0.05]))

    mesh = surface.extract(Beside(0.4, edge=0.3), resolution=32, threshold=50.0)
    middle = (mesh.vertices.min(0) + mesh.vertices.max(0)) / 2
    np.testing.assert_allclose(middle, [0.2, -0.1, 0.05], atol=0.01)
    assert np.linalg.norm(mesh.vertices - middle, axis=1).mean() == pytest.approx(0.4, abs=0.005)
    assert volume(mesh) == pytest.approx(4 / 3 * np.pi * 0.4**3, rel=0.03)  # positive: faces look outwards


def test_densities_are_asked_at_the_middle_of_cells_within_the_ball() -> None:
    asked: list[torch.Tensor] = []

    class Asked(Ball):
        def density(self, points: torch.Tensor) -> torch.Tensor:
            asked.append(points)
            return points[:, 0] + 10 * points[:, 1] + 100 * points[:, 2]

    density = surface.sample(Asked(), 4)
    points = torch.cat(asked)
    assert float(points.norm(dim=-1).max()) < 1
    assert len(points) == 32  # of 64 cells: those without two coordinates at 0.75
    assert density[2, 1, 0] == pytest.approx(0.25 - 2.5 - 75)
    assert density[0, 3, 0] == 0


def test_a_surface_needs_more_than_the_densest_point() -> None:
    for threshold in (100.0, 100.5):
        with pytest.raises(EmptyFieldError, match="the surface needs") as error:
            surface.extract(Ball(0.5), resolution=16, threshold=threshold)
        assert "--fresh" in error.value.hint
    with pytest.raises(EmptyFieldError, match="diverged") as error:
        surface.extract(Ball(0.5, inside=float("inf")), resolution=16)
    assert "learning rate" in error.value.hint


def test_a_volume_that_covers_a_dozen_pixels_is_not_empty() -> None:
    """Eight cells that let nothing through cover 4 pixels from each of three sides, which is too little; four more are enough."""
    density = np.zeros((16, 16, 16), np.float32)
    density[8:10, 8:10, 8:10] = 1e6
    with pytest.raises(EmptyFieldError, match="the field is empty: its densest point has 1e"):
        surface.find_level(density, 2 / 16)
    density[10, 8:10, 8:10] = 1e6
    assert 0 < surface.find_level(density, 2 / 16) < 1e6


def test_a_thin_haze_has_a_level_too() -> None:
    """A cube that lets most of the light through: its level is above the haze around it, and below its own density."""
    density = np.full((32, 32, 32), 0.02, np.float32)
    density[8:24, 8:24, 8:24] = 2.0
    assert 0.02 < surface.find_level(density, 2 / 32) < 2.0
