"""Volume rendering in plain torch: evenly spaced samples on each ray, composited from front to back."""

from collections.abc import Mapping
from typing import Any

import torch
from df3d_my_part.config import MyPartConfig
from torch import Tensor

from df3d import RenderRequest, Step
from df3d.protocols import Volume
from df3d.scene.cameras import rays
from df3d.types import AT_BEST, Cameras, RenderOutput


class MyPart:
    """alpha = 1 - exp(-density * distance); colours are sum of alpha * transmittance * albedo (NeRF, arXiv 2003.08934)."""

    def __init__(self, config: MyPartConfig, *, device: str = "cpu") -> None:
        self.config = config

    def parameter_groups(self) -> list[dict[str, Any]]:
        return []

    def before_step(self, step: Step) -> None: ...

    def state_dict(self) -> dict[str, Tensor]:
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None: ...

    def refresh(self, field: Volume, step: Step) -> None: ...

    def render(self, field: Volume, cameras: Cameras, request: RenderRequest = AT_BEST) -> RenderOutput:
        origins, directions = rays(cameras)
        count, gap = self.config.samples, 2.0 / self.config.samples
        near = cameras.distance.to(origins)[:, None, None, None] - 1.0
        places = near + (torch.arange(count, device=origins.device) + 0.5) * gap  # (V, 1, 1, S)
        points = origins[..., None, :] + places[..., None] * directions[..., None, :]
        found = field.query(points.reshape(-1, 3))
        alpha = 1 - torch.exp(-found.density.view(points.shape[:-1]) * gap)
        through = torch.cumprod(torch.cat([torch.ones_like(alpha[..., :1]), 1 - alpha[..., :-1]], dim=-1), dim=-1)
        weights = alpha * through
        opacity = weights.sum(-1, keepdim=True)
        color = (weights[..., None] * found.albedo.view(points.shape)).sum(-2)
        return RenderOutput(color + (1 - opacity) * self.config.background, opacity)
