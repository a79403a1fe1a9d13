"""The hash encoding in plain torch: slow, runs anywhere, and the oracle of the other backends."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor, nn

from df3d_hashgrid.config import GridConfig
from df3d_hashgrid.encoding.table import PRIMES, Layout


class TorchEncoding(nn.Module):
    """Trilinear interpolation written out; its gradient is autograd's."""

    def __init__(self, config: GridConfig) -> None:
        super().__init__()
        self.layout = Layout.of(config)
        self.table = self.layout.new_table()

    def forward(self, points: Tensor, levels: int) -> Tensor:
        return encode(points, self.table, self.layout, levels)

    def gradient(self, points: Tensor, cotangent: Tensor, levels: int) -> Tensor:
        with torch.enable_grad():
            points = points.detach().requires_grad_()
            features = encode(points, self.table, self.layout, levels)
            return torch.autograd.grad(features, points, cotangent, create_graph=True)[0]


def encode(points: Tensor, table: Tensor, layout: Layout, levels: int) -> Tensor:
    """Features (N, L * F) of points (N, 3) in [0, 1]."""
    features = [
        _level(points, table[layout.offsets[level] : layout.offsets[level + 1]], layout.resolutions[level], layout.hashed(level))
        if level < levels
        else points.new_zeros(len(points), layout.features)
        for level in range(layout.levels)
    ]
    return torch.cat(features, dim=1)


def _level(points: Tensor, rows: Tensor, resolution: int, hashed: bool) -> Tensor:
    scaled = points * resolution
    cell = scaled.detach().floor().clamp(0, resolution - 1)
    inside = scaled - cell
    cell = cell.long()
    total = points.new_zeros(len(points), rows.shape[1])
    for corner in product((0, 1), repeat=3):
        at = cell + torch.tensor(corner, device=points.device)
        if hashed:
            index = ((at[:, 0] * PRIMES[0]) ^ (at[:, 1] * PRIMES[1]) ^ (at[:, 2] * PRIMES[2])) & (len(rows) - 1)
        else:
            side = resolution + 1
            index = at[:, 0] + side * (at[:, 1] + side * at[:, 2])
        weight = torch.stack([inside[:, i] if corner[i] else 1 - inside[:, i] for i in range(3)]).prod(0)
        total = total + weight[:, None] * rows[index]
    return total
