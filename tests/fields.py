"""Fields whose shape is known, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from df3d.schedule import Step
from df3d.types import FieldSamples


class Ball:
    """Density `inside` up to `radius`, falling to 0 over `edge`; albedo is the position, so that a bake can be checked."""

    def __init__(self, radius: float = 0.5, inside: float = 100.0, edge: float = 0.05) -> None:
        self.radius, self.inside, self.edge = radius, inside, edge
        self.anchor = torch.zeros(1)

    def density(self, points: Tensor) -> Tensor:
        return self.inside * ((self.radius - points.norm(dim=-1)) / self.edge + 0.5).clamp(0, 1)

    def albedo(self, points: Tensor) -> Tensor:
        return points * 0.5 + 0.5

    def query(self, points: Tensor, *, gradient: bool = False) -> FieldSamples:
        return FieldSamples(self.density(points), self.albedo(points), -points if gradient else None)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return []

    def before_step(self, step: Step) -> None: ...

    def state_dict(self) -> dict[str, Tensor]:
        return {"anchor": self.anchor}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None: ...
