"""The hash encoding as fused CPU kernels, parallel over points going forward and over levels going back.

Each goes through the points in batches, level by level, so that a level's table stays in the second cache; and through a batch
in blocks, small enough for the first: there `_corners`, which the compiler turns into vector code, then the loads from the
table, which have to go one by one. No two threads ever write one row of the table, so
results do not depend on the number of threads. `lanes` is a tuple as long as a level has features: numba compiles a kernel
for each length, with loops of that length written out.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from df3d.system.cpu import kernel, split
from df3d_hashgrid.config import GridConfig
from df3d_hashgrid.encoding.table import PRIMES, Layout

_LEAST = 2048  # points worth a thread
_P1, _P2 = np.uint32(PRIMES[1]), np.uint32(PRIMES[2])
_BATCH, _BLOCK = 2048, 128  # points
_U32, _U64 = np.uint32, np.uint64  # unsigned places need no check for negative ones, so loops over them become vector code


class NumbaEncoding(nn.Module):
    """Same table and same numbers as `torch.TorchEncoding`, more than twenty times as fast on two cores."""

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
        p, t, out = _flat(points), _flat(table), features.numpy()
        split(len(points), lambda start, stop: _forward(p, t, resolutions, offsets, levels, out, lanes, start, stop), least=_LEAST)
        return features

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        points, table = ctx.saved_tensors
        resolutions, offsets, levels = ctx.layout
        gradient = _for_levels(table, offsets, levels)
        lanes = (0,) * table.shape[1]
        p, g, out = _flat(points), cotangent.contiguous().numpy(), _flat(gradient)
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
        p, c, t, out = _flat(points), cotangent.detach().numpy(), _flat(table), result.numpy()
        split(
            len(points), lambda start, stop: _gradient(p, c, t, resolutions, offsets, levels, out, lanes, start, stop), least=_LEAST
        )
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, direction: Tensor) -> tuple[Tensor | None, ...]:
        points, cotangent, table = ctx.saved_tensors
        resolutions, offsets, levels = ctx.layout
        to_cotangent = torch.empty_like(cotangent)
        to_cotangent[:, levels * table.shape[1] :] = 0.0
        to_table = _for_levels(table, offsets, levels)
        lanes = (0,) * table.shape[1]
        p, v, t, c = _flat(points), direction.contiguous().numpy(), _flat(table), cotangent.detach().numpy()
        out_c, out_t = to_cotangent.numpy(), _flat(to_table)
        split(levels, lambda start, stop: _gradient_backward(p, c, v, t, resolutions, offsets, out_c, out_t, lanes, start, stop))
        return None, to_cotangent, to_table, None, None, None


def _for_levels(table: Tensor, offsets: np.ndarray, levels: int) -> Tensor:
    """Memory for a gradient of the table, in which a kernel is to clear the first `levels` levels, each in its own thread."""
    gradient = torch.empty_like(table)
    gradient[offsets[levels] :] = 0.0
    return gradient


def _flat(tensor: Tensor) -> np.ndarray:
    """The tensor's memory as one row, shared."""
    return tensor.detach().view(-1).numpy()


@kernel
def _scratch():
    """A block's working memory: cells and places in them (3, block), and where the corners' features are (8, block); flat."""
    return np.empty(3 * _BLOCK, np.uint32), np.empty(3 * _BLOCK, np.float32), np.empty(8 * _BLOCK, np.uint32)


@kernel
def _corners(points, start, stop, level, resolutions, offsets, features, scratch):
    """Fill the scratch memory for points [start, stop), (N, 3) flat and in [0, 1], on one level."""
    cell, place, at = scratch
    first, rows, side = _U32(offsets[level]), _U32(offsets[level + 1] - offsets[level]), _U32(resolutions[level] + 1)
    _locate(points, start, stop, np.float32(resolutions[level]), cell, place)
    if side * side * side > rows:
        _hashed(stop - start, cell, rows - _U32(1), first, _U32(features), at)
    else:
        _dense(stop - start, cell, side, first, _U32(features), at)


@kernel
def _locate(points, start, stop, cells, cell, place):
    zero, last = np.float32(0.0), cells - np.float32(0.5)
    for axis in range(3):
        to = _U64(axis * _BLOCK)
        for j in range(_U64(stop - start)):
            scaled = points[_U64(3) * (_U64(start) + j) + _U64(axis)] * cells
            inside = scaled if scaled < last else last
            whole = np.int32(inside if inside > zero else zero)
            cell[to + j] = _U32(whole)
            place[to + j] = scaled - np.float32(whole)


@kernel
def _hashed(count, cell, mask, first, features, at):
    for j in range(_U64(count)):
        x0, y0, z0 = cell[j], cell[_of(1, j)] * _P1, cell[_of(2, j)] * _P2
        x1, y1, z1 = x0 + _U32(1), y0 + _P1, z0 + _P2
        at[j], at[_of(1, j)] = (((x0 ^ y0 ^ z0) & mask) + first) * features, (((x1 ^ y0 ^ z0) & mask) + first) * features
        at[_of(2, j)], at[_of(3, j)] = (((x0 ^ y1 ^ z0) & mask) + first) * features, (((x1 ^ y1 ^ z0) & mask) + first) * features
        at[_of(4, j)], at[_of(5, j)] = (((x0 ^ y0 ^ z1) & mask) + first) * features, (((x1 ^ y0 ^ z1) & mask) + first) * features
        at[_of(6, j)], at[_of(7, j)] = (((x0 ^ y1 ^ z1) & mask) + first) * features, (((x1 ^ y1 ^ z1) & mask) + first) * features


@kernel
def _dense(count, cell, side, first, features, at):
    x, y, z = features, side * features, side * side * features
    for j in range(_U64(count)):
        corner = first * features + cell[j] * x + cell[_of(1, j)] * y + cell[_of(2, j)] * z
        at[j], at[_of(1, j)], at[_of(2, j)], at[_of(3, j)] = corner, corner + x, corner + y, corner + x + y
        corner += z
        at[_of(4, j)], at[_of(5, j)], at[_of(6, j)], at[_of(7, j)] = corner, corner + x, corner + y, corner + x + y


@kernel
def _of(row, j):
    """Where in flat scratch memory item j of a row is."""
    return _U64(row * _BLOCK) + j


@kernel
def _row(at, j):
    """Where the features of point j's corners begin, x running fastest."""
    return (
        _U64(at[j]), _U64(at[_of(1, j)]), _U64(at[_of(2, j)]), _U64(at[_of(3, j)]),
        _U64(at[_of(4, j)]), _U64(at[_of(5, j)]), _U64(at[_of(6, j)]), _U64(at[_of(7, j)]),
    )  # fmt: skip


@kernel
def _place(place, j):
    return place[j], place[_of(1, j)], place[_of(2, j)]


@kernel
def _products(x0, x1, y0, y1, z0, z1):
    """The eight products of one factor for each axis, in the order of `_row`."""
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
    one, features, scratch = np.float32(1.0), len(lanes), _scratch()
    out[start:stop, levels * features :] = 0.0
    for first in range(start, stop, _BATCH):
        last = min(first + _BATCH, stop)
        for level in range(levels):
            for begin in range(first, last, _BLOCK):
                end = min(begin + _BLOCK, last)
                _corners(points, begin, end, level, resolutions, offsets, features, scratch)
                for j in range(_U64(end - begin)):
                    fx, fy, fz = _place(scratch[1], j)
                    w, at = _products(one - fx, fx, one - fy, fy, one - fz, fz), _row(scratch[2], j)
                    for f in range(features):
                        out[_U64(begin) + j, _U64(level * features + f)] = _gather(w, at, _U64(f), table)


@kernel
def _backward(points, cotangent, resolutions, offsets, out, lanes, start, stop):
    one, features, scratch = np.float32(1.0), len(lanes), _scratch()
    out[offsets[start] * features : offsets[stop] * features] = 0.0
    for first in range(0, cotangent.shape[0], _BATCH):
        last = min(first + _BATCH, cotangent.shape[0])
        for level in range(start, stop):
            for begin in range(first, last, _BLOCK):
                end = min(begin + _BLOCK, last)
                _corners(points, begin, end, level, resolutions, offsets, features, scratch)
                for j in range(_U64(end - begin)):
                    fx, fy, fz = _place(scratch[1], j)
                    w, at = _products(one - fx, fx, one - fy, fy, one - fz, fz), _row(scratch[2], j)
                    for f in range(features):
                        _scatter(w, at, _U64(f), cotangent[_U64(begin) + j, _U64(level * features + f)], out)


@kernel
def _gradient(points, cotangent, table, resolutions, offsets, levels, out, lanes, start, stop):
    one, features, scratch = np.float32(1.0), len(lanes), _scratch()
    out[start:stop] = 0.0
    for first in range(start, stop, _BATCH):
        last = min(first + _BATCH, stop)
        for level in range(levels):
            scale = np.float32(resolutions[level])
            for begin in range(first, last, _BLOCK):
                end = min(begin + _BLOCK, last)
                _corners(points, begin, end, level, resolutions, offsets, features, scratch)
                for j in range(_U64(end - begin)):
                    n = _U64(begin) + j
                    fx, fy, fz = _place(scratch[1], j)
                    at = _row(scratch[2], j)
                    sx = _products(-scale, scale, one - fy, fy, one - fz, fz)
                    sy = _products(one - fx, fx, -scale, scale, one - fz, fz)
                    sz = _products(one - fx, fx, one - fy, fy, -scale, scale)
                    for f in range(features):
                        given = cotangent[n, _U64(level * features + f)]
                        out[n, 0] += given * _gather(sx, at, _U64(f), table)
                        out[n, 1] += given * _gather(sy, at, _U64(f), table)
                        out[n, 2] += given * _gather(sz, at, _U64(f), table)


@kernel
def _gradient_backward(points, cotangent, direction, table, resolutions, offsets, out_cotangent, out_table, lanes, start, stop):
    features, scratch = len(lanes), _scratch()
    out_table[offsets[start] * features : offsets[stop] * features] = 0.0
    for first in range(0, cotangent.shape[0], _BATCH):
        last = min(first + _BATCH, cotangent.shape[0])
        for level in range(start, stop):
            scale = np.float32(resolutions[level])
            for begin in range(first, last, _BLOCK):
                end = min(begin + _BLOCK, last)
                _corners(points, begin, end, level, resolutions, offsets, features, scratch)
                for j in range(_U64(end - begin)):
                    n = _U64(begin) + j
                    fx, fy, fz = _place(scratch[1], j)
                    at = _row(scratch[2], j)
                    along = _slopes(fx, fy, fz, direction[n, 0] * scale, direction[n, 1] * scale, direction[n, 2] * scale)
                    for f in range(features):
                        column = _U64(level * features + f)
                        out_cotangent[n, column] = _gather(along, at, _U64(f), table)
                        _scatter(along, at, _U64(f), cotangent[n, column], out_table)
