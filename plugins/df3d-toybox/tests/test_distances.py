"""Distances of surfaces that are known."""

from __future__ import annotations

import numpy as np
import pytest
from df3d_toybox.distances import Surface, distances, sample_surface

from df3d.types import Mesh


def plane(points: np.ndarray) -> Surface:
    return Surface(points, np.tile((0.0, 1.0, 0.0), (len(points), 1)))


def test_distances_of_two_planes_are_their_gap() -> None:
    square = np.random.default_rng(0).random((4000, 3)) * (1, 0, 1)
    far = distances(plane(square), plane(square + np.array([0, 0.1, 0])), 0.05)
    assert abs(far.chamfer - 0.1) < 0.01
    assert far.f_score == 0
    assert far.normals == pytest.approx(1)
    near = distances(plane(square), plane(square + np.array([0, 0.01, 0])), 0.05)
    assert near.f_score == 1
    assert near.chamfer == pytest.approx(0.01, abs=0.002)


def test_distances_are_the_mean_of_both_ways() -> None:
    """Half of the second surface is far from the first one: all of the first is found, and half of the second."""
    square = np.random.default_rng(0).random((1000, 3)) * (1, 0, 1)
    both = np.concatenate([square, square + np.array([0, 1.0, 0])])
    found = distances(plane(square), plane(both), 0.05)
    assert found.f_score == pytest.approx(2 / 3)  # of 1 and 1/2
    assert found.chamfer == pytest.approx(0.25, abs=0.01)  # of 0 and 1/2
    turned = Surface(square, np.tile((0.0, 0.0, 1.0), (1000, 1)))
    assert distances(turned, plane(square), 0.05).normals == pytest.approx(0)
    tilted = Surface(square, np.tile((0.0, -0.6, 0.8), (1000, 1)))
    assert distances(tilted, plane(square), 0.05).normals == pytest.approx(0.6)


def test_points_lie_evenly_on_a_surface() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [10, 0, 0], [13, 0, 0], [10, 1, 0]], np.float32)
    points, normals = sample_surface(Mesh(vertices, np.array([[0, 1, 2], [3, 4, 5]])), 4000)
    far = points[:, 0] > 5
    assert abs(far.mean() - 0.75) < 0.03
    assert np.abs(points[~far].mean(0) - (1 / 3, 1 / 3, 0)).max() < 0.03
    np.testing.assert_allclose(normals, np.tile((0, 0, 1), (4000, 1)))


@pytest.mark.parametrize(("gap", "found"), [(0.03, 1), (0.08, 0)])
def test_what_is_farther_than_the_limit_is_not_found(gap: float, found: float) -> None:
    square = np.random.default_rng(0).random((500, 3)) * (1, 0, 1)
    assert distances(plane(square), plane(square + np.array([0, gap, 0])), 0.05).f_score == found
    beside = np.concatenate([square, square + np.array([0, gap, 0])])
    assert distances(plane(beside), plane(square), 0.05).f_score == pytest.approx(1 if found else 2 / 3)
    assert distances(plane(square), plane(beside), 0.05).f_score == pytest.approx(1 if found else 2 / 3)
