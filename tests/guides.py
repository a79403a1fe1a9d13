"""A guidance without a model, for tests of the loop around it: it wants every render grey."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from df3d.prompt import Prompt
from df3d.schedule import Step
from df3d.types import Cameras, GuidanceStep, RenderOutput


class Grey:
    """The mean squared distance to grey; `spoil` lists the steps at which it is not a number."""

    spoil: set[int] = set()

    def __init__(self, config: Any, *, device: str = "cpu") -> None: ...

    def encode(self, prompt: Prompt) -> None: ...

    def step(self, render: RenderOutput, cameras: Cameras, encoded: None, step: Step) -> GuidanceStep:
        loss: Tensor = (render.rgb - 0.5).square().mean()
        return GuidanceStep(loss * torch.nan if step.index in self.spoil else loss)
