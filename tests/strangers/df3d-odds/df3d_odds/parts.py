"""One part of each small kind."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from df3d import ExportError, Material, Mesh, MeshAsset, NoConfig, Prompt, Step
from df3d.scene.cameras import look_at
from df3d.system.images import pixels
from df3d.types import Cameras, GuidanceStep, RenderOutput
from df3d_odds.config import BoxConfig, FrontConfig, LikenessConfig, SignConfig


class Likeness:
    """loss = scale * mean over the pixels of (render - picture)^2, of views whose azimuth is near the picture's."""

    def __init__(self, config: LikenessConfig, *, device: str = "cpu") -> None:
        self.config, self.device = config, device

    def encode(self, prompt: Prompt) -> tuple[Tensor, float]:
        """The picture (1, 3, H, W) on white, and its azimuth."""
        picture = prompt.pictures[0]
        seen = torch.from_numpy(pixels(picture))
        flat = seen[..., :3] * seen[..., 3:] + 1 - seen[..., 3:]
        return flat.permute(2, 0, 1)[None].to(self.device), picture.azimuth or 0.0

    def step(self, render: RenderOutput, cameras: Cameras, encoded: tuple[Tensor, float], step: Step) -> GuidanceStep:
        picture, azimuth = encoded
        size = render.rgb.shape[1:3]
        wanted = torch.nn.functional.interpolate(picture, size, mode="bilinear", antialias=True).permute(0, 2, 3, 1)
        away = ((cameras.azimuth - azimuth + 180) % 360 - 180).abs()
        near = (away <= self.config.within).to(render.rgb)[:, None, None, None]
        error = ((render.rgb - wanted).square() * near).sum() / (3 * size[0] * size[1] * len(cameras))
        return GuidanceStep(self.config.scale * error, stats={"near": near.mean()})


def smoothness(render: RenderOutput, field: object) -> Tensor:
    """Mean squared difference of pixels that lie side by side."""
    return render.rgb.diff(dim=2).square().mean()


class FrontCameras:
    def __init__(self, config: FrontConfig, *, group: int = 1) -> None:
        self.config = config

    def sample(self, step: Step) -> Cameras:
        count, full = self.config.views, torch.ones(self.config.views)
        azimuth = self.config.sway * (2 * torch.rand(count, generator=step.generator("cameras")) - 1)
        return look_at(azimuth, 0 * full, 3 * full, 35 * full, height=self.config.size, width=self.config.size)


class Sign(torch.optim.Optimizer):
    """x -= rate * sign(gradient) (signSGD, arXiv 1802.04434)."""

    def __init__(self, groups: list[dict[str, Any]], shrink: float) -> None:
        super().__init__(groups, {"lr": 0.001})
        self.shrink = shrink

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.sub_(parameter.grad.sign(), alpha=self.shrink * group["lr"])


def sign(config: SignConfig, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return Sign(groups, config.shrink)


class BoxSource:
    def __init__(self, config: BoxConfig, *, device: str = "cpu") -> None:
        self.width = config.width

    def make(self, prompt: Prompt, seed: int) -> MeshAsset:
        corners = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32) * (self.width / 2)
        sides = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
        faces = np.array([triangle for a, b, c, d in sides for triangle in ((a, b, c), (a, c, d))])
        normals = corners / np.linalg.norm(corners, axis=1, keepdims=True)
        color = np.random.default_rng(seed).random(3).astype(np.float32)
        uvs = corners[:, :2] / self.width + 0.5
        return MeshAsset(Mesh(corners, faces, normals, uvs), Material(np.broadcast_to(color, (8, 8, 3)).copy()))


class TriImporter:
    def __init__(self, config: NoConfig) -> None: ...

    def read(self, path: Path) -> MeshAsset:
        """Raises ExportError when a line has not nine numbers."""
        try:
            corners = np.array([line.split() for line in path.read_text(encoding="utf-8").splitlines()], np.float32).reshape(-1, 3)
        except (OSError, ValueError):
            corners = np.zeros((0, 3), np.float32)
        if not len(corners) or len(corners) % 3:
            raise ExportError(f"`{path}` has no lines of nine numbers", "give one triangle a line")
        faces = np.arange(len(corners)).reshape(-1, 3)
        return MeshAsset(Mesh(corners, faces, colors=np.ones_like(corners)), Material(np.ones((1, 1, 3), np.float32)))


class Printed:
    def poll(self) -> int | None:
        return 0

    def cancel(self) -> None: ...


class Shout:
    """Prints what it would start."""

    def __init__(self, config: NoConfig) -> None: ...

    def start(self, command: Sequence[str], count: int, environment: Mapping[str, str]) -> list[Printed]:
        for number in range(count):
            print(f"WORKER {number}: {shlex.join(command)}")
        return [Printed() for _ in range(count)]
