from __future__ import annotations

import numpy as np
import pytest
import torch
from df3d_nvdiffrast import marching
from df3d_nvdiffrast.marching import TETRAHEDRA, slopes
from torch import Tensor

from df3d.mesh.cleanup import is_closed


def grid(size: int) -> Tensor:
    axis = torch.linspace(-1, 1, size)
    return torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)


def march(distances: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return marching.march(distances, lambda index: points.reshape(-1, 3)[index])


def volume(vertices: Tensor, faces: Tensor) -> float:
    a, b, c = vertices.double()[faces].unbind(1)
    return float((torch.linalg.cross(a, b) * c).sum() / 6)


def test_six_right_handed_tetrahedra_fill_a_cube() -> None:
    corners = torch.tensor([[c & 1, c >> 1 & 1, c >> 2] for c in range(8)]).double()
    a, b, c, d = corners[torch.tensor(TETRAHEDRA)].unbind(1)
    volumes = torch.linalg.det(torch.stack([b - a, c - a, d - a], 1)) / 6
    torch.testing.assert_close(volumes, torch.full((6,), 1 / 6).double())


@pytest.mark.parametrize(("tube", "euler"), [(None, 2), (0.25, 0)])
def test_a_ball_and_a_ring_are_closed_and_look_outwards(tube: float | None, euler: int) -> None:
    points = grid(33)
    if tube is None:
        distances, true = points.norm(dim=-1) - 0.6, 4 / 3 * np.pi * 0.6**3
    else:
        ring = points[..., [0, 2]].norm(dim=-1) - 0.55
        distances, true = torch.stack([ring, points[..., 1]], -1).norm(dim=-1) - tube, 2 * np.pi**2 * 0.55 * tube**2
    vertices, faces, _ = march(distances, points)
    assert is_closed(faces.numpy())
    assert len(vertices) - len(faces) * 3 // 2 + len(faces) == euler
    assert 0.97 < volume(vertices, faces) / true < 1.01


@pytest.mark.parametrize("seed", range(3))
def test_any_distances_at_all_give_a_closed_mesh(seed: int) -> None:
    g = torch.Generator().manual_seed(seed)
    distances = torch.randn(9, 9, 9, generator=g)
    rim = torch.ones(9, 9, 9, dtype=torch.bool)
    rim[1:-1, 1:-1, 1:-1] = False
    distances[rim] = 1.0
    offsets = 0.1 * (torch.rand(9, 9, 9, 3, generator=g) - 0.5)
    vertices, faces, _ = march(distances, grid(9) + offsets)
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] % 2 == 0).all()
    assert volume(vertices, faces) > 0


def test_vertices_move_with_distances_as_differences_say() -> None:
    distances, points = (grid(5).norm(dim=-1) - 0.7).double(), grid(5).double()
    weights = torch.randn(len(march(distances, points)[0]), 3, dtype=torch.float64)

    def value(d: Tensor, p: Tensor) -> Tensor:
        return (march(d, p)[0] * weights).sum()

    assert torch.autograd.gradcheck(value, (distances.requires_grad_(), points.requires_grad_()), eps=1e-7, atol=1e-4)


def test_the_slope_of_a_plane_is_its_normal() -> None:
    points = grid(9)
    normal = torch.tensor([0.48, -0.6, 0.64])
    distances = points @ normal
    _, _, cells = march(distances, points)
    found = slopes(distances, cells, 0.25)
    torch.testing.assert_close(found, normal.expand_as(found))


def test_nothing_comes_of_nothing() -> None:
    vertices, faces, cells = march(torch.ones(4, 4, 4), grid(4))
    assert (len(vertices), len(faces), len(cells)) == (0, 0, 0)
