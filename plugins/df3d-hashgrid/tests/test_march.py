"""Sampling along rays: the compiled one against the plain one, and both against geometry."""

from __future__ import annotations

import math

import pytest
import torch
from df3d_hashgrid.march import Samples, march, visible

from df3d.scene.cameras import orbit, rays


def sample(density: torch.Tensor, backend: str, *, least: float = 1.0, step: float = 0.05, jitter: float = 0.3) -> Samples:
    """March through a grid that expects between `least` times `density` and `density`."""
    origins, directions = (t.reshape(-1, 3) for t in rays(orbit(2, size=16)))
    full = torch.full((len(origins),), jitter)
    return march(origins, directions, full, density, least * density, step=step, occupied=0.01, opaque=1e-3, backend=backend)


def random_grid() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(8, 8, 8, generator=generator) * 5 * (torch.rand(8, 8, 8, generator=generator) > 0.5)


def test_numba_equals_torch() -> None:
    fast, plain = (sample(random_grid(), backend) for backend in ("numba", "torch"))
    assert torch.equal(fast.offsets, plain.offsets)
    assert torch.equal(fast.ray, plain.ray)
    torch.testing.assert_close(fast.points, plain.points, atol=1e-5, rtol=0)
    torch.testing.assert_close(fast.distance, plain.distance, atol=1e-5, rtol=0)


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_samples_fill_the_ball_evenly_and_nothing_else(backend: str) -> None:
    samples = sample(torch.full((4, 4, 4), 0.25), backend)
    assert samples.points.norm(dim=-1).max() < 1.0 + 1e-5
    origins, directions = (t.reshape(-1, 3) for t in rays(orbit(2, size=16)))
    torch.testing.assert_close(samples.points, origins[samples.ray] + samples.distance[:, None] * directions[samples.ray])
    middle = 8 * 16 + 8  # a ray close to the diameter: 2 units in steps of 0.05
    count = int(samples.offsets[middle + 1] - samples.offsets[middle])
    assert count in (39, 40)
    own = samples.distance[samples.offsets[middle] : samples.offsets[middle + 1]]
    torch.testing.assert_close(own.diff(), torch.full((count - 1,), 0.05), atol=1e-5, rtol=0)


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_empty_cells_are_skipped(backend: str) -> None:
    half = torch.zeros(8, 8, 8)
    half[4:] = 1.0  # x > 0
    samples = sample(half, backend)
    assert len(samples.points) > 0
    assert samples.points[:, 0].min() >= 0
    assert len(sample(torch.zeros(8, 8, 8), backend).points) == 0


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_a_ray_ends_once_it_is_opaque(backend: str) -> None:
    dense = sample(torch.full((4, 4, 4), 100.0), backend)
    assert dense.offsets.diff().max() == 2  # transmittance exp(-5) after one step of 0.05, below 1e-3 after two
    unsure = sample(torch.full((4, 4, 4), 100.0), backend, least=0.0)
    assert unsure.offsets.diff().max() in (39, 40)


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_what_shows_is_opaque_enough_and_not_behind_something(backend: str) -> None:
    samples = sample(random_grid(), "numba")
    density = 40 * torch.rand(len(samples.points), generator=torch.Generator().manual_seed(1))
    found = visible(samples, density, threshold=0.5, opaque=0.1, backend=backend)
    kept = []
    for start, stop in zip(samples.offsets[:-1].tolist(), samples.offsets[1:].tolist(), strict=True):
        transmittance = 1.0
        for i in range(start, stop):
            alpha = 1 - math.exp(-float(density[i]) * samples.step)
            if alpha >= 0.5 and transmittance > 0.1:
                kept.append(i)
            transmittance *= 1 - alpha
    assert 0 < len(kept) < len(samples.points)
    assert torch.equal(found.points, samples.points[kept])
    assert torch.equal(found.distance, samples.distance[kept])
    assert torch.equal(found.ray, samples.ray[kept])
    assert torch.equal(found.offsets.diff(), torch.bincount(found.ray, minlength=len(samples.offsets) - 1))


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_densities_that_are_no_numbers_stay_to_be_found(backend: str) -> None:
    samples = sample(random_grid(), "numba")
    found = visible(samples, torch.full((len(samples.points),), torch.nan), threshold=0.5, opaque=0.1, backend=backend)
    assert torch.equal(found.points, samples.points)


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_of_no_samples_none_show(backend: str) -> None:
    samples = sample(torch.zeros(8, 8, 8), "numba")
    found = visible(samples, torch.zeros(0), threshold=0.5, opaque=0.1, backend=backend)
    assert len(found.points) == 0
    assert torch.equal(found.offsets, samples.offsets)


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_a_camera_within_the_ball_sees_nothing_behind_it(backend: str) -> None:
    origins, directions = torch.tensor([[0.0, 0.0, 0.5]]), torch.tensor([[0.0, 0.0, -1.0]])
    full = torch.full((4, 4, 4), 0.25)
    found = march(origins, directions, torch.zeros(1), full, full, step=0.05, occupied=0.01, opaque=1e-3, backend=backend)
    assert float(found.distance.min()) == 0.0
    assert float(found.distance.max()) == pytest.approx(1.45, abs=0.051)
