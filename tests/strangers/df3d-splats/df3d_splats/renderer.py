"""Splatting in plain torch: every Gaussian on every pixel, sorted by depth. For small pictures and small clouds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from df3d import RenderRequest, Step
from df3d.types import AT_BEST, Cameras, RenderOutput
from df3d_splats.config import SplatterConfig
from df3d_splats.field import SplatsField


class Splatter:
    """alpha_i = opacity_i exp(-|p - m_i|^2 / (2 s_i^2)) in pixels; composited from front to back (arXiv 2308.04079, eq. 3)."""

    def __init__(self, config: SplatterConfig, *, device: str = "cpu") -> None:
        self.config = config

    def parameter_groups(self) -> list[dict[str, Any]]:
        return []

    def before_step(self, step: Step) -> None: ...

    def refresh(self, field: SplatsField, step: Step) -> None: ...

    def state_dict(self) -> dict[str, Tensor]:
        return {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None: ...

    def render(self, field: SplatsField, cameras: Cameras, request: RenderRequest = AT_BEST) -> RenderOutput:
        views = [self._view(field, cameras[i : i + 1]) for i in range(len(cameras))]
        rgb, opacity, depth = (torch.stack(part) for part in zip(*views, strict=True))
        behind = torch.full_like(rgb, self.config.background)
        return RenderOutput(rgb + (1 - opacity) * behind, opacity, depth, background=behind)

    def _view(self, field: SplatsField, camera: Cameras) -> tuple[Tensor, Tensor, Tensor]:
        height, width, means = camera.height, camera.width, field.means
        pose = camera.pose[0]
        seen = (means - pose[:3, 3]) @ pose[:3, :3]  # x to the right, y up, -z ahead
        ahead = (-seen[:, 2]).clamp_min(0.05)
        focal = 0.5 * height / torch.tan(0.5 * torch.deg2rad(camera.fov_y[0]))
        column, row = 0.5 * width + focal * seen[:, 0] / ahead, 0.5 * height - focal * seen[:, 1] / ahead
        spread = (focal * field.sizes[:, 0].exp() / ahead).clamp_min(0.3)
        order = ahead.detach().argsort(stable=True)
        y, x = torch.meshgrid(
            torch.arange(height, device=means.device) + 0.5, torch.arange(width, device=means.device) + 0.5, indexing="ij"
        )
        far = (x[..., None] - column[order]).square() + (y[..., None] - row[order]).square()
        alpha = torch.sigmoid(field.solidity[order, 0]) * torch.exp(-0.5 * far / spread[order].square())
        alpha = alpha.clamp_max(0.99)
        through = torch.cumprod(torch.cat([torch.ones_like(alpha[..., :1]), 1 - alpha[..., :-1]], dim=-1), dim=-1)
        weights = alpha * through  # (H, W, N)
        opacity = weights.sum(-1, keepdim=True)
        color = weights @ torch.sigmoid(field.colors[order])
        return color, opacity, (weights @ ahead[order])[..., None] / opacity.clamp_min(1e-6)
