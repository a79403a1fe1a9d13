"""Compositing packed samples along rays, with its gradient (NeRF, arXiv 2003.08934, equation 3).

alpha_i = 1 - exp(-density_i * step), T_i = prod_{j<i} (1 - alpha_j), w_i = T_i alpha_i.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from df3d.system.cpu import kernel, split
from df3d_hashgrid.march import Samples


def composite(density: Tensor, values: Tensor, samples: Samples, *, backend: str) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted sums (R, C) of values (S, C), opacities (R,) and weights (S,); differentiable in both inputs."""
    if backend == "numba":
        return _Composite.apply(density, values, samples.offsets, samples.step)
    return composite_torch(density, values, samples)


def composite_torch(density: Tensor, values: Tensor, samples: Samples) -> tuple[Tensor, Tensor, Tensor]:
    """The same in plain torch."""
    rays = len(samples.offsets) - 1
    depth = (density * samples.step).double()
    before = depth.cumsum(0) - depth
    start = before[samples.offsets[:-1].clamp(max=max(len(depth) - 1, 0))] if len(depth) else before.new_zeros(rays)
    transmittance = torch.exp(start[samples.ray] - before)
    weights = (transmittance * -torch.expm1(-depth)).to(density.dtype)
    total = values.new_zeros(rays, values.shape[1]).index_add(0, samples.ray, weights[:, None] * values)
    return total, weights.new_zeros(rays).index_add(0, samples.ray, weights), weights


class _Composite(Function):
    @staticmethod
    def forward(ctx: Any, density: Tensor, values: Tensor, offsets: Tensor, step: float) -> tuple[Tensor, Tensor, Tensor]:
        rays, channels = len(offsets) - 1, values.shape[1]
        total, opacity, weights = torch.empty(rays, channels), torch.empty(rays), torch.empty(len(density))
        arrays = [t.detach().contiguous().numpy() for t in (density, values, offsets, total, opacity, weights)]
        split(rays, lambda start, stop: _forward(*arrays, np.float32(step), start, stop), least=1024)
        ctx.save_for_backward(density, values, offsets, weights)
        ctx.step = step
        return total, opacity, weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, to_total: Tensor, to_opacity: Tensor, to_weights: Tensor) -> tuple[Tensor | None, ...]:
        density, values, offsets, weights = ctx.saved_tensors
        to_density, to_values = torch.empty_like(density), torch.empty_like(values)
        tensors = (density, values, offsets, weights, to_total, to_opacity, to_weights, to_density, to_values)
        arrays = [t.detach().contiguous().numpy() for t in tensors]
        split(len(offsets) - 1, lambda start, stop: _backward(*arrays, np.float32(ctx.step), start, stop), least=1024)
        return to_density, to_values, None, None


@kernel
def _forward(density, values, offsets, total, opacity, weights, step, start, stop):
    one = np.float32(1.0)
    for r in range(start, stop):
        transmittance = one
        for i in range(offsets[r], offsets[r + 1]):
            left = transmittance * np.exp(-density[i] * step)
            weights[i] = transmittance - left
            transmittance = left
        opacity[r] = one - transmittance
        for c in range(values.shape[1]):
            color = np.float32(0.0)
            for i in range(offsets[r], offsets[r + 1]):
                color += weights[i] * values[i, c]
            total[r, c] = color


@kernel
def _backward(density, values, offsets, weights, to_total, to_opacity, to_weights, to_density, to_values, step, start, stop):
    for r in range(start, stop):
        left = np.float32(1.0)  # transmittance behind the last sample
        for i in range(offsets[r], offsets[r + 1]):
            left -= weights[i]
        left = max(left, np.float32(0.0))
        behind = np.float32(0.0)  # sum over later samples of weight * gradient
        for i in range(offsets[r + 1] - 1, offsets[r] - 1, -1):
            gradient = to_opacity[r] + to_weights[i]
            for c in range(values.shape[1]):
                gradient += to_total[r, c] * values[i, c]
                to_values[i, c] = weights[i] * to_total[r, c]
            to_density[i] = step * (left * gradient - behind)
            behind += weights[i] * gradient
            left += weights[i]
