"""A guidance without a model: the mean squared distance of every pixel to one colour."""

import torch
from df3d_my_part.config import MyPartConfig

from df3d import Prompt, Step
from df3d.types import Cameras, GuidanceStep, RenderOutput


class MyPart:
    """loss = mean (render - colour)^2. A real one would ask a model about the prompt here."""

    def __init__(self, config: MyPartConfig, *, device: str = "cpu") -> None:
        self.config, self.device = config, device

    def encode(self, prompt: Prompt) -> torch.Tensor:
        """What of the prompt `step` needs, made once: here the colour (3,)."""
        return torch.tensor(self.config.color, device=self.device)

    def step(self, render: RenderOutput, cameras: Cameras, encoded: torch.Tensor, step: Step) -> GuidanceStep:
        error = (render.rgb - encoded).square().mean()
        return GuidanceStep(error, stats={"error": error.detach()})
