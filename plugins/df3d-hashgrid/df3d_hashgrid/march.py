"""Where to sample along rays: evenly spaced steps, jittered, only in occupied cells, until the ray is opaque."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from df3d.cpu import kernel, split


@dataclass(frozen=True)
class Samples:
    """S samples of R rays, packed ray after ray."""

    points: Tensor  # (S, 3)
    distance: Tensor  # (S,) along the ray
    ray: Tensor  # (S,) int64
    offsets: Tensor  # (R + 1,) int64, first sample of each ray
    step: float  # distance between samples


def march(
    origins: Tensor, directions: Tensor, jitter: Tensor, density: Tensor, *, step: float, occupied: float, opaque: float, backend: str
) -> Samples:
    """Sample rays (R, 3) through the unit ball.

    jitter (R,) in [0, 1) moves each ray's samples; density (G, G, G) is the occupancy grid over [-1, 1]^3, indexed
    x, y, z. A cell is skipped while its opacity per step is below `occupied`; a ray ends when the transmittance the
    grid predicts falls below `opaque`.
    """
    least = -math.log1p(-occupied) / step
    run = _march_numba if backend == "numba" else _march_torch
    return run(origins, directions, jitter, density, step, least, opaque)


def _march_torch(
    origins: Tensor, directions: Tensor, jitter: Tensor, density: Tensor, step: float, least: float, opaque: float
) -> Samples:
    near, far = _ball(origins, directions)
    count = int(math.ceil(2.0 / step)) + 1
    index = torch.arange(count, device=origins.device)
    distance = near[:, None] + (index + jitter[:, None]) * step
    points = origins[:, None] + distance[..., None] * directions[:, None]
    size = density.shape[0]
    cell = ((points + 1) * (0.5 * size)).long().clamp(0, size - 1)
    value = density[cell[..., 0], cell[..., 1], cell[..., 2]] * (distance < far[:, None])
    depth = (value * (value >= least)).cumsum(1) * step
    before = torch.cat([torch.zeros_like(depth[:, :1]), depth[:, :-1]], dim=1)
    keep = (value >= least) & (distance < far[:, None]) & (before < -math.log(opaque))
    ray, column = keep.nonzero(as_tuple=True)
    offsets = torch.cat([keep.new_zeros(1, dtype=torch.long), keep.sum(1).cumsum(0)])
    return Samples(points[ray, column], distance[ray, column], ray, offsets, step)


def _ball(origins: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """Distances at which rays enter and leave the unit ball; far < near for those that miss."""
    middle = -(origins * directions).sum(-1)
    square = 1 - origins.square().sum(-1) + middle.square()
    half = square.clamp_min(0).sqrt()
    near = (middle - half).clamp_min(0)
    return near, torch.where(square > 0, middle + half, near - 1)


def _march_numba(
    origins: Tensor, directions: Tensor, jitter: Tensor, density: Tensor, step: float, least: float, opaque: float
) -> Samples:
    near, far = _ball(origins, directions)
    inputs = [t.contiguous().numpy() for t in (origins, directions, near, far, jitter, density)]
    rays = len(origins)
    offsets = np.zeros(rays + 1, np.int64)
    limits = np.float32(step), np.float32(least), np.float32(-math.log(opaque))
    split(rays, lambda start, stop: _count(*inputs, *limits, offsets, start, stop), least=256)
    np.cumsum(offsets, out=offsets)
    total = int(offsets[-1])
    points, distance, ray = np.empty((total, 3), np.float32), np.empty(total, np.float32), np.empty(total, np.int64)
    split(rays, lambda start, stop: _fill(*inputs, *limits, offsets, points, distance, ray, start, stop), least=256)
    return Samples(*map(torch.from_numpy, (points, distance, ray, offsets)), step)


@kernel
def _cell(origin, direction, t, density):
    size = density.shape[0]
    half = np.float32(0.5 * size)
    x = min(max(int((origin[0] + t * direction[0] + np.float32(1.0)) * half), 0), size - 1)
    y = min(max(int((origin[1] + t * direction[1] + np.float32(1.0)) * half), 0), size - 1)
    z = min(max(int((origin[2] + t * direction[2] + np.float32(1.0)) * half), 0), size - 1)
    return density[x, y, z]


@kernel
def _count(origins, directions, near, far, jitter, density, step, least, limit, offsets, start, stop):
    for r in range(start, stop):
        kept, depth, i = 0, np.float32(0.0), 0
        t = near[r] + jitter[r] * step
        while t < far[r] and depth < limit:
            value = _cell(origins[r], directions[r], t, density)
            if value >= least:
                kept += 1
                depth += value * step
            i += 1
            t = near[r] + (np.float32(i) + jitter[r]) * step
        offsets[r + 1] = kept


@kernel
def _fill(origins, directions, near, far, jitter, density, step, least, limit, offsets, points, distance, ray, start, stop):
    for r in range(start, stop):
        at, end, i = offsets[r], offsets[r + 1], 0
        t = near[r] + jitter[r] * step
        while at < end:
            if _cell(origins[r], directions[r], t, density) >= least:
                for axis in range(3):
                    points[at, axis] = origins[r, axis] + t * directions[r, axis]
                distance[at] = t
                ray[at] = r
                at += 1
            i += 1
            t = near[r] + (np.float32(i) + jitter[r]) * step
