"""CLIP guidance: renders that CLIP finds like the prompt."""

from __future__ import annotations

import torch
from torch import Tensor

from df3d.prompt import Prompt
from df3d.schedule import Step
from df3d.types import Cameras, GuidanceStep, RenderOutput
from df3d_clip.config import ClipGuidanceConfig
from df3d_clip.model import load


class ClipGuidance:
    """loss = scale * mean over views and random crops of 1 - cos(image, text). Dream Fields, arXiv 2112.01455, equation 5."""

    def __init__(self, config: ClipGuidanceConfig, *, device: str = "cpu") -> None:
        self.config = config
        self._clip = load(config, device)

    def encode(self, prompt: Prompt) -> Tensor:
        """(1, D)."""
        return self._clip.texts([prompt.text])

    def step(self, render: RenderOutput, cameras: Cameras, encoded: Tensor, step: Step) -> GuidanceStep:
        generator = step.generator("guidance")
        side = render.rgb.shape[1]
        crops = []
        for _ in range(self.config.augmentations):
            share, top, left = torch.rand(3, generator=generator).tolist()
            size = max(1, round(side * (self.config.crop + (1 - self.config.crop) * share)))
            row, col = int(top * (side - size + 1)), int(left * (side - size + 1))
            crops.append(self._clip.images(render.rgb[:, row : row + size, col : col + size]))
        similarity = (torch.cat(crops) @ encoded.T).mean()
        return GuidanceStep(self.config.scale * (1 - similarity), stats={"similarity": similarity.detach()})
