"""Where the field is empty and where it is opaque: a coarse grid of densities that follows it as it changes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from df3d.protocols import Volume
from df3d.schedule import Step


class OccupancyGrid:
    """Two densities for every cell over [-1, 1]^3, indexed x, y, z: the most and the least that is expected there."""

    def __init__(self, size: int, *, decay: float, every: int, device: str) -> None:
        self.decay, self.every = decay, every
        axis = (torch.arange(size, device=device) + 0.5) * (2.0 / size) - 1.0
        self._centers = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).view(-1, 3)
        self._inside = (self._centers.norm(dim=-1) < 1.0 + 1.8 / size).nonzero()[:, 0]
        self._found = torch.zeros(size, size, size, device=device)  # at the last refresh
        self._seen = torch.zeros(size, size, size, device=device)  # the same, or what decay has left of earlier ones
        self._fresh = True  # not yet refreshed
        self._last: Step | None = None  # at which it was refreshed: a step that is done again does not do it again
        self._spread()

    def _spread(self) -> None:
        """Take the neighbours in: a field can then grow into empty cells, and no ray ends before a surface."""
        self.most = _pool(self._seen)
        self.least = -_pool(-self._found)

    @torch.no_grad()
    def refresh(self, field: Volume, step: Step) -> None:
        """Query the field at a random point of every cell, when it is time."""
        if step == self._last or (step.index % self.every and not self._fresh):
            return
        size = self._seen.shape[0]
        jitter = torch.rand(len(self._inside), 3, generator=step.generator("occupancy")).to(self._seen.device)
        points = self._centers[self._inside] + (jitter - 0.5) * (2.0 / size)
        self._found = torch.zeros_like(self._found)
        self._found.view(-1)[self._inside] = torch.cat([field.density(part) for part in points.split(2**17)])
        self._seen = torch.maximum(self._seen * self.decay, self._found)
        self._fresh, self._last = False, step
        self._spread()

    def state(self) -> Tensor:
        """(2, G, G, G), for checkpoints."""
        return torch.stack([self._found, self._seen])

    def load_state(self, state: Tensor) -> None:
        self._found, self._seen = state.to(self._seen.device).clone()
        self._fresh, self._last = False, None
        self._spread()


def _pool(cells: Tensor) -> Tensor:
    """The highest value among each cell and its 26 neighbours."""
    return functional.max_pool3d(cells[None, None], 3, stride=1, padding=1)[0, 0]
