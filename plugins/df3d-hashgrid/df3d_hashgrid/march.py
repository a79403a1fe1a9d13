"""Where to sample along rays: evenly spaced steps, jittered, only in occupied cells, until the ray is opaque."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from df3d.system.cpu import kernel, split


@dataclass(frozen=True)
class Samples:
    """S samples of R rays, packed ray after ray."""

    points: Tensor  # (S, 3)
    distance: Tensor  # (S,) along the ray
    ray: Tensor  # (S,) int64
    offsets: Tensor  # (R + 1,) int64, first sample of each ray
    step: float  # distance between samples


def march(
    origins: Tensor,
    directions: Tensor,
    jitter: Tensor,
    most: Tensor,
    least: Tensor,
    *,
    step: float,
    occupied: float,
    opaque: float,
    backend: str,
) -> Samples:
    """Sample rays (R, 3) through the unit ball.

    jitter (R,) in [0, 1) moves each ray's samples; most and least (G, G, G) are the occupancy grid's densities over
    [-1, 1]^3, indexed x, y, z. A cell is skipped when even its most is less opaque per step than `occupied`; a ray
    ends when even with the least everywhere its transmittance would be below `opaque`.
    """
    run = _march_numba if backend == "numba" else _march_torch
    near, far = _ball(origins, directions)
    return run(origins, directions, near, far, jitter, most, least, step, -math.log1p(-occupied) / step, -math.log(opaque))


def visible(samples: Samples, density: Tensor, *, threshold: float, opaque: float, backend: str) -> Samples:
    """Those of the samples that show, given their densities (S,).

    They have an opacity of at least `threshold`, and lie where the ray's transmittance is not yet below `opaque`
    (NerfAcc, arXiv 2305.04966, section 3.2). A density that is no number stays, so that what is wrong is seen.
    """
    run = _visible_numba if backend == "numba" else _visible_torch
    keep, offsets = run(samples, density, -math.log1p(-threshold), -math.log(opaque))
    return Samples(samples.points[keep], samples.distance[keep], samples.ray[keep], offsets, samples.step)


def _visible_torch(samples: Samples, density: Tensor, least: float, limit: float) -> tuple[Tensor, Tensor]:
    """Which samples show, and the first of these on each ray (R + 1,), by optical depths."""
    depth = (density * samples.step).double()
    before = depth.cumsum(0) - depth
    start = torch.cat([before, before.new_zeros(1)])[samples.offsets[:-1]]
    keep = ~((depth < least) | (before - start[samples.ray] >= limit))
    (kept,) = keep.nonzero(as_tuple=True)
    return kept, torch.cat([samples.offsets.new_zeros(1), keep.cumsum(0)])[samples.offsets]


def _visible_numba(samples: Samples, density: Tensor, least: float, limit: float) -> tuple[Tensor, Tensor]:
    inputs = density.contiguous().numpy(), samples.offsets.numpy(), samples.step, least, limit
    kept, offsets = np.empty(len(density), np.int64), np.zeros(len(samples.offsets), np.int64)
    count = _keep(*inputs, kept, offsets)
    return torch.from_numpy(kept[:count]), torch.from_numpy(offsets)


def _march_torch(
    origins: Tensor,
    directions: Tensor,
    near: Tensor,
    far: Tensor,
    jitter: Tensor,
    most: Tensor,
    least: Tensor,
    step: float,
    threshold: float,
    limit: float,
) -> Samples:
    count = math.ceil(2.0 / step) + 1
    index = torch.arange(count, device=origins.device)
    distance = near[:, None] + (index + jitter[:, None]) * step
    points = origins[:, None] + distance[..., None] * directions[:, None]
    size = most.shape[0]
    cell = tuple(((points + 1) * (0.5 * size)).long().clamp(0, size - 1).unbind(-1))
    inside = distance < far[:, None]
    depth = (least[cell] * inside).cumsum(1) * step
    before = torch.cat([torch.zeros_like(depth[:, :1]), depth[:, :-1]], dim=1)
    keep = (most[cell] >= threshold) & inside & (before < limit)
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
    origins: Tensor,
    directions: Tensor,
    near: Tensor,
    far: Tensor,
    jitter: Tensor,
    most: Tensor,
    least: Tensor,
    step: float,
    threshold: float,
    limit: float,
) -> Samples:
    inputs = [t.contiguous().numpy() for t in (origins, directions, near, far, jitter, most, least)]
    rays = len(origins)
    offsets, first = np.zeros(rays + 1, np.int64), np.zeros(rays, np.int64)
    limits = np.float32(step), np.float32(threshold), np.float32(limit)
    split(rays, lambda start, stop: _count(*inputs, *limits, offsets, first, start, stop), least=256)
    np.cumsum(offsets, out=offsets)
    total = int(offsets[-1])
    points, distance, ray = np.empty((total, 3), np.float32), np.empty(total, np.float32), np.empty(total, np.int64)
    filled = offsets, first, points, distance, ray
    split(rays, lambda start, stop: _fill(*inputs, *limits, *filled, start, stop), least=256)
    packed = [torch.from_numpy(array) for array in (points, distance, ray, offsets)]
    return Samples(packed[0], packed[1], packed[2], packed[3], step)


@kernel
def _cell(origin, direction, t, size):
    half = np.float32(0.5 * size)
    x = min(max(int((origin[0] + t * direction[0] + np.float32(1.0)) * half), 0), size - 1)
    y = min(max(int((origin[1] + t * direction[1] + np.float32(1.0)) * half), 0), size - 1)
    z = min(max(int((origin[2] + t * direction[2] + np.float32(1.0)) * half), 0), size - 1)
    return x, y, z


@kernel
def _count(origins, directions, near, far, jitter, most, least, step, threshold, limit, offsets, first, start, stop):
    for r in range(start, stop):
        kept, depth, i = 0, np.float32(0.0), 0
        t = near[r] + jitter[r] * step
        while t < far[r] and depth < limit:
            x, y, z = _cell(origins[r], directions[r], t, most.shape[0])
            if most[x, y, z] >= threshold:
                if kept == 0:
                    first[r] = i
                kept += 1
            depth += least[x, y, z] * step
            i += 1
            t = near[r] + (np.float32(i) + jitter[r]) * step
        offsets[r + 1] = kept


@kernel
def _fill(
    origins, directions, near, far, jitter, most, least, step, threshold, limit, offsets, first, points, distance, ray, start, stop
):
    for r in range(start, stop):
        at, end, i = offsets[r], offsets[r + 1], first[r]
        t = near[r] + (np.float32(i) + jitter[r]) * step
        while at < end:
            x, y, z = _cell(origins[r], directions[r], t, most.shape[0])
            if most[x, y, z] >= threshold:
                for axis in range(3):
                    points[at, axis] = origins[r, axis] + t * directions[r, axis]
                distance[at] = t
                ray[at] = r
                at += 1
            i += 1
            t = near[r] + (np.float32(i) + jitter[r]) * step


@kernel
def _keep(density, offsets, step, least, limit, kept, kept_offsets):
    """Fill `kept` with the samples that show, and the offsets of these; returns how many they are."""
    count = 0
    for r in range(len(offsets) - 1):
        before = 0.0
        for i in range(offsets[r], offsets[r + 1]):
            depth = np.float64(density[i] * np.float32(step))
            if not (depth < least or before >= limit):
                kept[count] = i
                count += 1
            before += depth
        kept_offsets[r + 1] = count
    return count
