"""Where the field is not empty: a coarse grid of densities that follows it as it changes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from df3d.interfaces import Volume
from df3d.schedule import Step


class OccupancyGrid:
    """Densities in cells over [-1, 1]^3, indexed x, y, z; each holds the highest of itself and its neighbours."""

    def __init__(self, size: int, *, decay: float, every: int, device: str) -> None:
        self.decay, self.every = decay, every
        axis = (torch.arange(size, device=device) + 0.5) * (2.0 / size) - 1.0
        self._centers = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).view(-1, 3)
        self._inside = (self._centers.norm(dim=-1) < 1.0 + 1.8 / size).nonzero()[:, 0]
        self.seen = torch.zeros(size, size, size, device=device)
        self.fresh = True  # not yet refreshed

    @property
    def density(self) -> Tensor:
        """(G, G, G): `seen`, spread by one cell so that the field can grow into it."""
        return functional.max_pool3d(self.seen[None, None], 3, stride=1, padding=1)[0, 0]

    @torch.no_grad()
    def refresh(self, field: Volume, step: Step) -> bool:
        """Query the field at a random point of every cell when it is time; returns whether it was."""
        if step.index % self.every and not self.fresh:
            return False
        size = self.seen.shape[0]
        jitter = torch.rand(len(self._inside), 3, generator=step.generator("occupancy")).to(self.seen.device)
        points = self._centers[self._inside] + (jitter - 0.5) * (2.0 / size)
        found = torch.zeros(size**3, device=self.seen.device)
        found[self._inside] = torch.cat([field.density(part) for part in points.split(2**17)])
        self.seen = torch.maximum(self.seen * self.decay, found.view_as(self.seen))
        self.fresh = False
        return True
