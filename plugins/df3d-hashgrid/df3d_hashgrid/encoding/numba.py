"""The hash encoding as fused CPU kernels, parallel over points going forward and over levels going back.

No two threads ever write one row of the table, so results do not depend on the number of threads.
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
        p, t, out = points.numpy(), table.detach().numpy(), features.numpy()
        split(len(p), lambda start, stop: _forward(p, t, resolutions, offsets, levels, out, start, stop), least=_LEAST)
        return features

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[Tensor | None, ...]:
        points, table = ctx.saved_tensors
        resolutions, offsets, levels = ctx.layout
        gradient = torch.zeros_like(table)
        p, g, out = points.numpy(), cotangent.contiguous().numpy(), gradient.numpy()
        split(levels, lambda start, stop: _backward(p, g, resolutions, offsets, out, start, stop))
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
        p, c, t, out = points.numpy(), cotangent.detach().numpy(), table.detach().numpy(), result.numpy()
        split(len(p), lambda start, stop: _gradient(p, c, t, resolutions, offsets, levels, out, start, stop), least=_LEAST)
        return result

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, direction: Tensor) -> tuple[Tensor | None, ...]:
        points, cotangent, table = ctx.saved_tensors
        resolutions, offsets, levels = ctx.layout
        to_cotangent = torch.zeros_like(cotangent)
        to_table = torch.zeros_like(table)
        p, v, t, c = points.numpy(), direction.contiguous().numpy(), table.detach().numpy(), cotangent.detach().numpy()
        out_c, out_t = to_cotangent.numpy(), to_table.numpy()
        split(levels, lambda start, stop: _gradient_backward(p, c, v, t, resolutions, offsets, out_c, out_t, start, stop))
        return None, to_cotangent, to_table, None, None, None


@kernel
def _key(x, y, z, side, mask, hashed):
    """Row of a grid point within its level, unsigned so that indexing needs no check for negative numbers."""
    if hashed:
        return np.uint64((x ^ (y * _P1) ^ (z * _P2)) & mask)
    return np.uint64(x + side * (y + side * z))


@kernel
def _locate(point, resolution):
    """The cell of a coordinate and where in it, from 0 to 1."""
    scaled = point * np.float32(resolution)
    cell = min(max(np.int32(scaled), np.int32(0)), np.int32(resolution - 1))
    return np.uint32(cell), scaled - np.float32(cell)


@kernel
def _level(level, resolutions, offsets):
    """First row, points along an axis, mask of the hash, and whether there is one."""
    rows, side = offsets[level + 1] - offsets[level], resolutions[level] + 1
    return np.uint64(offsets[level]), np.uint32(side), np.uint32(rows - 1), side * side * side > rows


@kernel
def _forward(points, table, resolutions, offsets, levels, out, start, stop):
    features = table.shape[1]
    one = np.float32(1.0)
    for level in range(resolutions.shape[0]):
        column = level * features
        if level >= levels:
            for n in range(start, stop):
                for f in range(features):
                    out[n, column + f] = 0.0
            continue
        first, side, mask, hashed = _level(level, resolutions, offsets)
        for n in range(start, stop):
            x, fx = _locate(points[n, 0], resolutions[level])
            y, fy = _locate(points[n, 1], resolutions[level])
            z, fz = _locate(points[n, 2], resolutions[level])
            for f in range(0, features, 2):
                a = np.float32(0.0)
                b = np.float32(0.0)
                for k in range(2):
                    wz = fz if k else one - fz
                    for j in range(2):
                        wyz = wz * (fy if j else one - fy)
                        for i in range(2):
                            w = wyz * (fx if i else one - fx)
                            row = first + _key(x + np.uint32(i), y + np.uint32(j), z + np.uint32(k), side, mask, hashed)
                            a += w * table[row, f]
                            b += w * table[row, f + 1]
                out[n, column + f] = a
                out[n, column + f + 1] = b


@kernel
def _backward(points, cotangent, resolutions, offsets, out, start, stop):
    features = out.shape[1]
    one = np.float32(1.0)
    for level in range(start, stop):
        column = level * features
        first, side, mask, hashed = _level(level, resolutions, offsets)
        for n in range(points.shape[0]):
            x, fx = _locate(points[n, 0], resolutions[level])
            y, fy = _locate(points[n, 1], resolutions[level])
            z, fz = _locate(points[n, 2], resolutions[level])
            for f in range(0, features, 2):
                a, b = cotangent[n, column + f], cotangent[n, column + f + 1]
                for k in range(2):
                    wz = fz if k else one - fz
                    for j in range(2):
                        wyz = wz * (fy if j else one - fy)
                        for i in range(2):
                            w = wyz * (fx if i else one - fx)
                            row = first + _key(x + np.uint32(i), y + np.uint32(j), z + np.uint32(k), side, mask, hashed)
                            out[row, f] += w * a
                            out[row, f + 1] += w * b


@kernel
def _gradient(points, cotangent, table, resolutions, offsets, levels, out, start, stop):
    features = table.shape[1]
    one = np.float32(1.0)
    for n in range(start, stop):
        for axis in range(3):
            out[n, axis] = 0.0
    for level in range(levels):
        column, r = level * features, np.float32(resolutions[level])
        first, side, mask, hashed = _level(level, resolutions, offsets)
        for n in range(start, stop):
            x, fx = _locate(points[n, 0], resolutions[level])
            y, fy = _locate(points[n, 1], resolutions[level])
            z, fz = _locate(points[n, 2], resolutions[level])
            gx = np.float32(0.0)
            gy = np.float32(0.0)
            gz = np.float32(0.0)
            for k in range(2):
                wz, sz = (fz, r) if k else (one - fz, -r)
                for j in range(2):
                    wy, sy = (fy, r) if j else (one - fy, -r)
                    for i in range(2):
                        wx, sx = (fx, r) if i else (one - fx, -r)
                        row = first + _key(x + np.uint32(i), y + np.uint32(j), z + np.uint32(k), side, mask, hashed)
                        value = np.float32(0.0)
                        for f in range(0, features, 2):
                            value += cotangent[n, column + f] * table[row, f] + cotangent[n, column + f + 1] * table[row, f + 1]
                        gx += value * sx * wy * wz
                        gy += value * sy * wx * wz
                        gz += value * sz * wx * wy
            out[n, 0] += gx
            out[n, 1] += gy
            out[n, 2] += gz


@kernel
def _gradient_backward(points, cotangent, direction, table, resolutions, offsets, out_cotangent, out_table, start, stop):
    features = table.shape[1]
    one = np.float32(1.0)
    for level in range(start, stop):
        column, r = level * features, np.float32(resolutions[level])
        first, side, mask, hashed = _level(level, resolutions, offsets)
        for n in range(points.shape[0]):
            x, fx = _locate(points[n, 0], resolutions[level])
            y, fy = _locate(points[n, 1], resolutions[level])
            z, fz = _locate(points[n, 2], resolutions[level])
            vx, vy, vz = direction[n, 0] * r, direction[n, 1] * r, direction[n, 2] * r
            for f in range(0, features, 2):
                ca, cb = cotangent[n, column + f], cotangent[n, column + f + 1]
                a = np.float32(0.0)
                b = np.float32(0.0)
                for k in range(2):
                    wz, sz = (fz, vz) if k else (one - fz, -vz)
                    for j in range(2):
                        wy, sy = (fy, vy) if j else (one - fy, -vy)
                        for i in range(2):
                            wx, sx = (fx, vx) if i else (one - fx, -vx)
                            along = sx * wy * wz + sy * wx * wz + sz * wx * wy
                            row = first + _key(x + np.uint32(i), y + np.uint32(j), z + np.uint32(k), side, mask, hashed)
                            a += along * table[row, f]
                            b += along * table[row, f + 1]
                            out_table[row, f] += along * ca
                            out_table[row, f + 1] += along * cb
                out_cotangent[n, column + f] = a
                out_cotangent[n, column + f + 1] = b
