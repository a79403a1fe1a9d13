"""The hash encoding as fused CPU kernels, parallel over points going forward and over levels going back.

No two threads ever write one row of the table, so results do not depend on the number of threads. `lanes` is a tuple as
long as a level has features: numba compiles a kernel for each length, with loops of that length written out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from df3d.cpu import kernel, split
from df3d_hashgrid.config import GridConfig
from df3d_hashgrid.encoding.table import PRIMES, Layout

_LEAST = 2048  # points worth a thread
_P1, _P2 = np.uint32(PRIMES[1]), np.uint32(PRIMES[2])


class NumbaEncoding(nn.Module):
    """Same table and same numbers as `torch.TorchEncoding`, about forty times faster on two cores."""

    def __init__(self, config: GridConfig) -> None:
        super().__init__()
        self.layout = Layout.of(config)
        self.table = self.layout.new_table()
        self._resolutions = np.array(self.layout.resolutions, np.int64)
        self._offsets = np.array(self.layout.offsets, np.int64)

    def forward(self, points: Tensor, levels: int) -> Tensor:
        return _Encode.apply(points.contiguous(), self.table, self._resolutions, self._offsets, levels)

    def gradient(self, points: Tensor, cotangent: Tensor, levels: int) -> Tensor:
        return _Gradient.apply(points.contiguous(), cotangent.contiguous(), self.table, self._resolutions, self._offsets, levels)


class _Encode(Function):
    @staticmethod
    def forward(ctx: Any, points: Tensor, table: Tensor, resolutions: np.ndarray, offsets: np.ndarray, levels: int) -> Tensor:
        ctx.save_for_backward(points, table)
        ctx.layout = resolutions, offsets, levels
        features = torch.empty(len(points), len(resolutions) * table.shape[1])
        lanes = (0,) * table.shape[1]
        p, t, out = points.numpy(), _flat(table), features.numpy()
        split(len(p), lambda start, stop: _forward(p, t, resolutions, offsets, levels, out, lanes, start, stop), least=_LEAST)
        return features

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        points, table = ctx.saved_tensors
        resolutions, offsets, levels = ctx.layout
        gradient = torch.zeros_like(table)
        lanes = (0,) * table.shape[1]
        p, g, out = points.numpy(), cotangent.contiguous().numpy(), _flat(gradient)
        split(levels, lambda start, stop: _backward(p, g, resolutions, offsets, out, lanes, start, stop))
        return None, gradient, None, None, None


class _Gradient(Function):
    """cotangent . d features / d points, with its own backward to the cotangent and the table."""

    @staticmethod
    def forward(
        ctx: Any, points: Tensor, cotangent: Tensor, table: Tensor, resolutions: np.ndarray, offsets: np.ndarray, levels: int
    ) -> Tensor:
        ctx.save_for_backward(points, cotangent, table)
        ctx.layout = resolutions, offsets, levels
        result = torch.empty(len(points), 3)
        lanes = (0,) * table.shape[1]
        p, c, t, out = points.numpy(), cotangent.detach().numpy(), _flat(table), result.numpy()
        split(len(p), lambda start, stop: _gradient(p, c, t, resolutions, offsets, levels, out, lanes, start, stop), least=_LEAST)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, direction: Tensor) -> tuple[Tensor | None, ...]:
        points, cotangent, table = ctx.saved_tensors
        resolutions, offsets, levels = ctx.layout
        to_cotangent = torch.zeros_like(cotangent)
        to_table = torch.zeros_like(table)
        lanes = (0,) * table.shape[1]
        p, v, t, c = points.numpy(), direction.contiguous().numpy(), _flat(table), cotangent.detach().numpy()
        out_c, out_t = to_cotangent.numpy(), _flat(to_table)
        split(levels, lambda start, stop: _gradient_backward(p, c, v, t, resolutions, offsets, out_c, out_t, lanes, start, stop))
        return None, to_cotangent, to_table, None, None, None


def _flat(table: Tensor) -> np.ndarray:
    """The table's memory as one row, shared."""
    return table.detach().view(-1).numpy()


@kernel
def _level(level, resolutions, offsets):
    """Of one level: its cells and points along an axis, the rows it has, and whether they are hashed."""
    cells, rows = resolutions[level], offsets[level + 1] - offsets[level]
    side = cells + 1
    return np.int32(cells), np.uint32(side), np.uint32(rows), side * side * side > rows


@kernel
def _locate(point, cells):
    """The cell of a coordinate in [0, 1] and where in it, from 0 to 1."""
    scaled = point * np.float32(cells)
    cell = min(max(np.int32(scaled), np.int32(0)), cells - np.int32(1))
    return np.uint32(cell), scaled - np.float32(cell)


@kernel
def _corners(x, y, z, side, rows, hashed, first, features):
    """Where in the flat table the features of a cell's eight corners begin, x running fastest.

    Unsigned throughout, so that indexing needs no check for negative numbers.
    """
    one = np.uint32(1)
    if hashed:
        mask = rows - one
        y0, y1, z0, z1 = y * _P1, (y + one) * _P1, z * _P2, (z + one) * _P2
        a, b, c, d = y0 ^ z0, y1 ^ z0, y0 ^ z1, y1 ^ z1
        k0, k1, k2, k3 = (x ^ a) & mask, ((x + one) ^ a) & mask, (x ^ b) & mask, ((x + one) ^ b) & mask
        k4, k5, k6, k7 = (x ^ c) & mask, ((x + one) ^ c) & mask, (x ^ d) & mask, ((x + one) ^ d) & mask
    else:
        k0 = x + side * (y + side * z)
        k2, k4 = k0 + side, k0 + side * side
        k6 = k4 + side
        k1, k3, k5, k7 = k0 + one, k2 + one, k4 + one, k6 + one
    f, o = np.uint64(features), np.uint64(first) * np.uint64(features)
    return o + k0 * f, o + k1 * f, o + k2 * f, o + k3 * f, o + k4 * f, o + k5 * f, o + k6 * f, o + k7 * f


@kernel
def _products(x0, x1, y0, y1, z0, z1):
    """The eight products of one factor for each axis, in the order of `_corners`."""
    a, b, c, d = y0 * z0, y1 * z0, y0 * z1, y1 * z1
    return x0 * a, x1 * a, x0 * b, x1 * b, x0 * c, x1 * c, x0 * d, x1 * d


@kernel
def _slopes(fx, fy, fz, vx, vy, vz):
    """Of the eight trilinear weights at (fx, fy, fz) the slopes along (vx, vy, vz)."""
    one = np.float32(1.0)
    gx, gy, gz = one - fx, one - fy, one - fz
    x = _products(-vx, vx, gy, fy, gz, fz)
    y = _products(gx, fx, -vy, vy, gz, fz)
    z = _products(gx, fx, gy, fy, -vz, vz)
    return (
        x[0] + y[0] + z[0], x[1] + y[1] + z[1], x[2] + y[2] + z[2], x[3] + y[3] + z[3],
        x[4] + y[4] + z[4], x[5] + y[5] + z[5], x[6] + y[6] + z[6], x[7] + y[7] + z[7],
    )  # fmt: skip


@kernel
def _gather(w, at, f, table):
    """The weighted sum of one feature over the corners. Written out: a loop over tuples keeps them in memory."""
    near = w[0] * table[at[0] + f] + w[1] * table[at[1] + f] + w[2] * table[at[2] + f] + w[3] * table[at[3] + f]
    return near + (w[4] * table[at[4] + f] + w[5] * table[at[5] + f] + w[6] * table[at[6] + f] + w[7] * table[at[7] + f])


@kernel
def _scatter(w, at, f, given, out):
    """The transpose of `_gather`."""
    out[at[0] + f] += w[0] * given
    out[at[1] + f] += w[1] * given
    out[at[2] + f] += w[2] * given
    out[at[3] + f] += w[3] * given
    out[at[4] + f] += w[4] * given
    out[at[5] + f] += w[5] * given
    out[at[6] + f] += w[6] * given
    out[at[7] + f] += w[7] * given


@kernel
def _forward(points, table, resolutions, offsets, levels, out, lanes, start, stop):
    one = np.float32(1.0)
    features = len(lanes)
    for level in range(resolutions.shape[0]):
        column = level * features
        if level >= levels:
            out[start:stop, column : column + features] = 0.0
            continue
        cells, side, rows, hashed = _level(level, resolutions, offsets)
        for n in range(start, stop):
            x, fx = _locate(points[n, 0], cells)
            y, fy = _locate(points[n, 1], cells)
            z, fz = _locate(points[n, 2], cells)
            at = _corners(x, y, z, side, rows, hashed, offsets[level], features)
            w = _products(one - fx, fx, one - fy, fy, one - fz, fz)
            for f in range(features):
                out[n, column + f] = _gather(w, at, np.uint64(f), table)


@kernel
def _backward(points, cotangent, resolutions, offsets, out, lanes, start, stop):
    one = np.float32(1.0)
    features = len(lanes)
    for level in range(start, stop):
        column = level * features
        cells, side, rows, hashed = _level(level, resolutions, offsets)
        for n in range(points.shape[0]):
            x, fx = _locate(points[n, 0], cells)
            y, fy = _locate(points[n, 1], cells)
            z, fz = _locate(points[n, 2], cells)
            at = _corners(x, y, z, side, rows, hashed, offsets[level], features)
            w = _products(one - fx, fx, one - fy, fy, one - fz, fz)
            for f in range(features):
                _scatter(w, at, np.uint64(f), cotangent[n, column + f], out)


@kernel
def _gradient(points, cotangent, table, resolutions, offsets, levels, out, lanes, start, stop):
    features = len(lanes)
    one = np.float32(1.0)
    out[start:stop] = 0.0
    for level in range(levels):
        column, scale = level * features, np.float32(resolutions[level])
        cells, side, rows, hashed = _level(level, resolutions, offsets)
        for n in range(start, stop):
            x, fx = _locate(points[n, 0], cells)
            y, fy = _locate(points[n, 1], cells)
            z, fz = _locate(points[n, 2], cells)
            at = _corners(x, y, z, side, rows, hashed, offsets[level], features)
            sx = _products(-scale, scale, one - fy, fy, one - fz, fz)
            sy = _products(one - fx, fx, -scale, scale, one - fz, fz)
            sz = _products(one - fx, fx, one - fy, fy, -scale, scale)
            for f in range(features):
                given = cotangent[n, column + f]
                out[n, 0] += given * _gather(sx, at, np.uint64(f), table)
                out[n, 1] += given * _gather(sy, at, np.uint64(f), table)
                out[n, 2] += given * _gather(sz, at, np.uint64(f), table)


@kernel
def _gradient_backward(points, cotangent, direction, table, resolutions, offsets, out_cotangent, out_table, lanes, start, stop):
    features = len(lanes)
    for level in range(start, stop):
        column, scale = level * features, np.float32(resolutions[level])
        cells, side, rows, hashed = _level(level, resolutions, offsets)
        for n in range(points.shape[0]):
            x, fx = _locate(points[n, 0], cells)
            y, fy = _locate(points[n, 1], cells)
            z, fz = _locate(points[n, 2], cells)
            at = _corners(x, y, z, side, rows, hashed, offsets[level], features)
            along = _slopes(fx, fy, fz, direction[n, 0] * scale, direction[n, 1] * scale, direction[n, 2] * scale)
            for f in range(features):
                out_cotangent[n, column + f] = _gather(along, at, np.uint64(f), table)
                _scatter(along, at, np.uint64(f), cotangent[n, column + f], out_table)
