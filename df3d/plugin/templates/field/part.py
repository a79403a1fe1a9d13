"""A soft ball whose radius, density and colour are learnt."""

from typing import Any

import torch
from df3d_my_part.config import MyPartConfig
from torch import Tensor, nn

from df3d import Step
from df3d.types import FieldSamples


class MyPart(nn.Module):
    """Capability "volume": density = peak * sigmoid((radius - |x|) / 0.05)."""

    def __init__(self, config: MyPartConfig, *, device: str = "cpu", start_from: object = None) -> None:
        super().__init__()
        self.config = config
        self.shape = nn.Parameter(torch.tensor([config.radius, config.density], device=device))
        self.color = nn.Parameter(torch.zeros(3, device=device))

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.shape, self.color], "lr": self.config.rate}]

    def before_step(self, step: Step) -> None: ...

    def density(self, points: Tensor) -> Tensor:
        return self.shape[1].clamp_min(0) * torch.sigmoid((self.shape[0] - points.norm(dim=-1)) / 0.05)

    def albedo(self, points: Tensor) -> Tensor:
        return torch.sigmoid(self.color).expand_as(points)

    def query(self, points: Tensor, *, gradient: bool = False) -> FieldSamples:
        density = self.density(points)
        outside = torch.sigmoid((self.shape[0] - points.norm(dim=-1)) / 0.05)
        slope = -(density * (1 - outside) / 0.05)[:, None] * nn.functional.normalize(points, dim=-1) if gradient else None
        return FieldSamples(density, self.albedo(points), slope)
