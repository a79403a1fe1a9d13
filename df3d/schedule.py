"""The step a run is at, with its random numbers, and numbers that change along the way."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

LARGEST_SEED = 2**31 - 1  # of a run: what a generator takes, with room for what tells draws apart


@dataclass(frozen=True)
class Step:
    """One step of a stage. Every random draw comes from `generator`, so a resumed run equals an unbroken one."""

    index: int
    of: int
    stage: str = ""
    seed: int = 0

    @property
    def progress(self) -> float:
        """0 at the first step, 1 at the last."""
        return self.index / max(self.of - 1, 1)

    def generator(self, purpose: str) -> torch.Generator:
        """A CPU generator of its own for each (seed, stage, step, purpose)."""
        import torch

        key = zlib.crc32(f"{self.seed}/{self.stage}/{self.index}/{purpose}".encode())
        return torch.Generator().manual_seed((self.seed << 32) ^ key)


@dataclass(frozen=True)
class Schedule:
    """A number that goes from `start` to `end` in a straight line between two shares of the stage's steps.

    In a recipe: a plain number, or `{ start = 0.98, end = 0.3, since = 0.0, until = 0.8 }`.
    """

    start: float
    end: float | None = None
    since: float = 0.0
    until: float = 1.0

    @property
    def ends(self) -> tuple[float, ...]:
        """The numbers between which it stays."""
        return (self.start,) if self.end is None else (self.start, self.end)

    def at(self, step: Step) -> float:
        if self.end is None:
            return self.start
        span = max(self.until - self.since, 1e-9)
        share = min(max((step.progress - self.since) / span, 0.0), 1.0)
        return self.start + share * (self.end - self.start)
