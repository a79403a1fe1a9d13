"""Light on a surface: albedo alone, Lambertian, or Lambertian on white (DreamFusion, arXiv 2209.14988, section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from df3d.scene.options import ShadingConfig
from df3d.schedule import Step
from df3d.types import Cameras

Mode = Literal["albedo", "lambertian", "textureless"]


@dataclass(frozen=True)
class Lighting:
    """One step's light."""

    mode: Mode
    position: Tensor  # (V, 3) of the point light of each view
    ambient: float
    diffuse: float

    @property
    def needs_normals(self) -> bool:
        return self.mode != "albedo"

    def shade(self, albedo: Tensor, normals: Tensor | None, points: Tensor, view: Tensor) -> Tensor:
        """Colours (S, 3) of samples.

        albedo (S, 3), unit normals (S, 3) or None, points (S, 3), view (S,) which camera each belongs to:
        colour = albedo * (ambient + diffuse * max(0, n . l)), l the unit direction to the light.
        """
        if self.mode == "albedo" or normals is None:
            return albedo
        towards = torch.nn.functional.normalize(self.position[view] - points, dim=-1)
        light = self.ambient + self.diffuse * (normals * towards).sum(-1, keepdim=True).clamp_min(0.0)
        return light.expand_as(albedo) if self.mode == "textureless" else albedo * light


def lighting(config: ShadingConfig, cameras: Cameras, step: Step | None) -> Lighting:
    """The light of a training step, or, without one, a light at the camera.

    A random light lies in the direction normalize(camera + N(0, 1)) at a distance in [0.8, 1.5] (DreamFusion).
    """
    positions = cameras.pose[:, :3, 3]
    if step is None:
        mode: Mode = "lambertian" if config.lambertian > 0 and config.albedo_until < 1 else "albedo"
        return Lighting(mode, positions, config.ambient, config.diffuse)
    generator = step.generator("light")
    lit, white, distance = torch.rand(3, generator=generator).tolist()
    noise = torch.randn(positions.shape, generator=generator).to(positions.device, non_blocking=True)
    mode = "albedo"
    if step.progress >= config.albedo_until and lit < config.lambertian:
        mode = "textureless" if white < config.textureless else "lambertian"
    if config.light == "random":
        positions = torch.nn.functional.normalize(positions + noise, dim=-1) * (0.8 + 0.7 * distance)
    return Lighting(mode, positions, config.ambient, config.diffuse)
