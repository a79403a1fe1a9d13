"""Cameras evenly around the object, turned by a random angle at each step."""

import torch
from df3d_my_part.config import MyPartConfig

from df3d import Step
from df3d.scene.cameras import look_at
from df3d.types import Cameras

DISTANCE, FOV_Y = 3.0, 35.0


class MyPart:
    """Every random draw comes from the step's own generator, so that a resumed run repeats it."""

    def __init__(self, config: MyPartConfig, *, group: int = 1) -> None:
        self.config = config

    def sample(self, step: Step) -> Cameras:
        config, count = self.config, self.config.views
        turn = 360.0 * torch.rand(1, generator=step.generator("cameras"))
        azimuth = (turn + torch.arange(count) * (360.0 / count)) % 360.0 - 180.0
        full = torch.ones(count)
        size = config.size
        return look_at(azimuth, config.elevation * full, DISTANCE * full, FOV_Y * full, height=size, width=size)
