"""The layout that all of df3d's own backends share: one table for all levels, dense where a level fits, hashed where not."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from df3d_hashgrid.config import GridConfig

PRIMES = (1, 2654435761, 805459861)  # Instant-NGP, equation 4


@dataclass(frozen=True)
class Layout:
    """Where each level lies in the table."""

    resolutions: tuple[int, ...]  # cells along an axis
    offsets: tuple[int, ...]  # first row of each level, and the number of rows at the end
    features: int

    @classmethod
    def of(cls, config: GridConfig) -> Layout:
        resolutions = config.resolutions()
        offsets = [0]
        for resolution in resolutions:
            dense = -(-((resolution + 1) ** 3) // 8) * 8
            offsets.append(offsets[-1] + min(dense, 2**config.log2_table))
        return cls(tuple(resolutions), tuple(offsets), config.features)

    @property
    def levels(self) -> int:
        return len(self.resolutions)

    def rows(self, level: int) -> int:
        return self.offsets[level + 1] - self.offsets[level]

    def hashed(self, level: int) -> bool:
        return (self.resolutions[level] + 1) ** 3 > self.rows(level)

    def new_table(self) -> nn.Parameter:
        """(rows, features), uniform in [-1e-4, 1e-4] as in Instant-NGP."""
        return nn.Parameter(torch.empty(self.offsets[-1], self.features).uniform_(-1e-4, 1e-4))
