"""The hash encoding as Triton kernels: any GPU that torch's own compiler knows, and no build step.

Points in blocks; each program adds its share to the table's gradient atomically, so sums may differ in their last bits
from run to run. With TRITON_INTERPRET=1 the kernels run on a CPU, slowly: that is how they are tested without a GPU.
"""

from __future__ import annotations

from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from df3d_hashgrid.config import GridConfig
from df3d_hashgrid.encoding.table import PRIMES, Layout

BLOCK = 128  # points a program
_P1, _P2 = tl.constexpr(PRIMES[1]), tl.constexpr(PRIMES[2])


class TritonEncoding(nn.Module):
    """Same table and same numbers as `torch.TorchEncoding`."""

    def __init__(self, config: GridConfig) -> None:
        super().__init__()
        self.layout = Layout.of(config)
        self.table = self.layout.new_table()
        levels = [[cells, self.layout.offsets[i], self.layout.rows(i)] for i, cells in enumerate(self.layout.resolutions)]
        self.register_buffer("levels", torch.tensor(levels, dtype=torch.int32), persistent=False)

    def forward(self, points: Tensor, levels: int) -> Tensor:
        return _Encode.apply(points.contiguous(), self.table, self.levels, levels)

    def gradient(self, points: Tensor, cotangent: Tensor, levels: int) -> Tensor:
        return _Gradient.apply(points.contiguous(), cotangent.contiguous(), self.table, self.levels, levels)


def _blocks(points: Tensor) -> int:
    return triton.cdiv(len(points), BLOCK)


def _sizes(points: Tensor, table: Tensor, info: Tensor) -> dict[str, int]:
    features = table.shape[1]
    return {
        "count": len(points),
        "width": len(info) * features,
        "F": features,
        "FP": triton.next_power_of_2(features),
        "BLOCK": BLOCK,
    }


class _Encode(Function):
    @staticmethod
    def forward(ctx: Any, points: Tensor, table: Tensor, info: Tensor, levels: int) -> Tensor:
        ctx.save_for_backward(points, table, info)
        ctx.levels = levels
        features = points.new_zeros(len(points), len(info) * table.shape[1])
        if len(points):
            _forward[(_blocks(points), levels)](points, table, info, features, **_sizes(points, table, info))
        return features

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        points, table, info = ctx.saved_tensors
        gradient = torch.zeros_like(table)
        if len(points):
            sizes = _sizes(points, table, info)
            _backward[(_blocks(points), ctx.levels)](points, cotangent.contiguous(), info, gradient, **sizes)
        return None, gradient, None, None


class _Gradient(Function):
    """cotangent . d features / d points, with its own backward to the cotangent and the table."""

    @staticmethod
    def forward(ctx: Any, points: Tensor, cotangent: Tensor, table: Tensor, info: Tensor, levels: int) -> Tensor:
        ctx.save_for_backward(points, cotangent, table, info)
        ctx.levels = levels
        result = torch.empty_like(points)
        if len(points):
            _gradient[(_blocks(points),)](points, cotangent, table, info, result, levels, **_sizes(points, table, info))
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, direction: Tensor) -> tuple[Tensor | None, ...]:
        points, cotangent, table, info = ctx.saved_tensors
        to_cotangent, to_table = torch.zeros_like(cotangent), torch.zeros_like(table)
        if len(points):
            _gradient_backward[(_blocks(points), ctx.levels)](
                points, cotangent, direction.contiguous(), table, info, to_cotangent, to_table, **_sizes(points, table, info)
            )
        return None, to_cotangent, to_table, None, None


@triton.jit
def _locate(points, n, inside, cells, axis: tl.constexpr):
    """The cell of a coordinate in [0, 1] and where in it, from 0 to 1."""
    scaled = tl.load(points + n * 3 + axis, mask=inside, other=0.0) * cells
    whole = tl.minimum(tl.maximum(tl.floor(scaled), 0.0), cells - 1.0)
    return whole.to(tl.uint32), scaled - whole


@triton.jit
def _row(x, y, z, corner: tl.constexpr, cells, offset, rows):
    """The table's row of a cell's corner, x running fastest."""
    x, y, z = x + (corner & 1), y + ((corner >> 1) & 1), z + (corner >> 2)
    side = cells + 1
    hashed = (x ^ (y * _P1) ^ (z * _P2)) & (rows - 1).to(tl.uint32)
    dense = x + side.to(tl.uint32) * (y + side.to(tl.uint32) * z)
    fits = side.to(tl.int64) * side * side <= rows
    return offset + tl.where(fits, dense, hashed).to(tl.int64)


@triton.jit
def _either(f, bit: tl.constexpr):
    """The factor of a corner along one axis."""
    return f if bit else 1.0 - f


@triton.jit
def _level(info, level):
    """Of one level: its cells along an axis, its first row in the table, and how many it has."""
    return tl.load(info + 3 * level), tl.load(info + 3 * level + 1), tl.load(info + 3 * level + 2)


@triton.jit
def _place(points, n, inside, cells):
    """The cells of points along each axis, and where in them the points are."""
    x, fx = _locate(points, n, inside, cells, 0)
    y, fy = _locate(points, n, inside, cells, 1)
    z, fz = _locate(points, n, inside, cells, 2)
    return x, y, z, fx, fy, fz


@triton.jit
def _forward(points, table, info, out, count, width, F: tl.constexpr, FP: tl.constexpr, BLOCK: tl.constexpr):
    n, level = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.program_id(1)
    f = tl.arange(0, FP)
    inside = n < count
    cells, offset, rows = _level(info, level)
    x, y, z, fx, fy, fz = _place(points, n, inside, cells)
    both = inside[:, None] & (f < F)[None, :]
    total = tl.zeros((BLOCK, FP), tl.float32)
    for corner in tl.static_range(8):
        weight = _either(fx, corner & 1) * _either(fy, (corner >> 1) & 1) * _either(fz, corner >> 2)
        at = _row(x, y, z, corner, cells, offset, rows)
        total += weight[:, None] * tl.load(table + at[:, None] * F + f[None, :], mask=both, other=0.0)
    tl.store(out + n.to(tl.int64)[:, None] * width + level * F + f[None, :], total, mask=both)


@triton.jit
def _backward(points, cotangent, info, out, count, width, F: tl.constexpr, FP: tl.constexpr, BLOCK: tl.constexpr):
    n, level = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.program_id(1)
    f = tl.arange(0, FP)
    inside = n < count
    cells, offset, rows = _level(info, level)
    x, y, z, fx, fy, fz = _place(points, n, inside, cells)
    both = inside[:, None] & (f < F)[None, :]
    given = tl.load(cotangent + n.to(tl.int64)[:, None] * width + level * F + f[None, :], mask=both, other=0.0)
    for corner in tl.static_range(8):
        weight = _either(fx, corner & 1) * _either(fy, (corner >> 1) & 1) * _either(fz, corner >> 2)
        at = _row(x, y, z, corner, cells, offset, rows)
        tl.atomic_add(out + at[:, None] * F + f[None, :], weight[:, None] * given, mask=both)


@triton.jit
def _gradient(points, cotangent, table, info, out, levels, count, width, F: tl.constexpr, FP: tl.constexpr, BLOCK: tl.constexpr):
    n = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    f = tl.arange(0, FP)
    inside = n < count
    both = inside[:, None] & (f < F)[None, :]
    gx, gy, gz = tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32), tl.zeros((BLOCK,), tl.float32)
    for level in range(levels):
        cells, offset, rows = _level(info, level)
        x, y, z, fx, fy, fz = _place(points, n, inside, cells)
        given = tl.load(cotangent + n.to(tl.int64)[:, None] * width + level * F + f[None, :], mask=both, other=0.0)
        for corner in tl.static_range(8):
            at = _row(x, y, z, corner, cells, offset, rows)
            value = tl.sum(given * tl.load(table + at[:, None] * F + f[None, :], mask=both, other=0.0), axis=1) * cells
            wx, wy, wz = _either(fx, corner & 1), _either(fy, (corner >> 1) & 1), _either(fz, corner >> 2)
            gx += value * wy * wz * (2.0 * (corner & 1) - 1.0)
            gy += value * wx * wz * (2.0 * ((corner >> 1) & 1) - 1.0)
            gz += value * wx * wy * (2.0 * (corner >> 2) - 1.0)
    tl.store(out + n * 3, gx, mask=inside)
    tl.store(out + n * 3 + 1, gy, mask=inside)
    tl.store(out + n * 3 + 2, gz, mask=inside)


@triton.jit
def _gradient_backward(
    points, cotangent, direction, table, info, to_cotangent, to_table, count, width,
    F: tl.constexpr, FP: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    n, level = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK), tl.program_id(1)
    f = tl.arange(0, FP)
    inside = n < count
    both = inside[:, None] & (f < F)[None, :]
    cells, offset, rows = _level(info, level)
    x, y, z, fx, fy, fz = _place(points, n, inside, cells)
    vx = tl.load(direction + n * 3, mask=inside, other=0.0) * cells
    vy = tl.load(direction + n * 3 + 1, mask=inside, other=0.0) * cells
    vz = tl.load(direction + n * 3 + 2, mask=inside, other=0.0) * cells
    column = n.to(tl.int64)[:, None] * width + level * F + f[None, :]
    given = tl.load(cotangent + column, mask=both, other=0.0)
    total = tl.zeros((BLOCK, FP), tl.float32)
    for corner in tl.static_range(8):
        at = _row(x, y, z, corner, cells, offset, rows)
        wx, wy, wz = _either(fx, corner & 1), _either(fy, (corner >> 1) & 1), _either(fz, corner >> 2)
        along = vx * wy * wz * (2.0 * (corner & 1) - 1.0)
        along += vy * wx * wz * (2.0 * ((corner >> 1) & 1) - 1.0)
        along += vz * wx * wy * (2.0 * (corner >> 2) - 1.0)
        total += along[:, None] * tl.load(table + at[:, None] * F + f[None, :], mask=both, other=0.0)
        tl.atomic_add(to_table + at[:, None] * F + f[None, :], along[:, None] * given, mask=both)
    tl.store(to_cotangent + column, total, mask=both)
