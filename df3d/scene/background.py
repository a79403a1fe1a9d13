"""What is behind the object: one colour, a random colour each step, or a small learned environment."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from df3d.scene.options import BackgroundConfig
from df3d.schedule import Step


class Background(nn.Module):
    """`forward` gives colours (R, 3) for unit directions (R, 3)."""

    color: Tensor

    def __init__(self, config: BackgroundConfig) -> None:
        super().__init__()
        self.kind = config.background
        self.register_buffer("color", torch.tensor(config.background_color), persistent=False)
        if self.kind == "learned":
            self.network = nn.Sequential(nn.Linear(9, 16), nn.ReLU(), nn.Linear(16, 3), nn.Sigmoid())

    def forward(self, directions: Tensor, step: Step | None) -> Tensor:
        if self.kind == "learned":
            colors: Tensor = self.network(_harmonics(directions))
            return colors
        if self.kind == "random" and step is not None:
            return torch.rand(3, generator=step.generator("background")).to(directions).expand_as(directions)
        return self.color.expand_as(directions)

    def parameter_groups(self) -> list[dict[str, object]]:
        parameters = list(self.parameters())
        return [{"params": parameters, "lr": 1e-3}] if parameters else []


def _harmonics(d: Tensor) -> Tensor:
    """(R, 9) real spherical harmonics of degree 0 to 2, without their constants."""
    x, y, z = d.unbind(-1)
    return torch.stack([torch.ones_like(x), x, y, z, x * y, y * z, z * x, x * x - y * y, 3 * z * z - 1], dim=-1)
