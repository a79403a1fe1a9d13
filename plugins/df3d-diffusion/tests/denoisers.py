"""Denoisers whose score is known in closed form, for every test that needs a model and no network."""

from __future__ import annotations

import torch
from torch import Tensor

from df3d.types import Cameras


class Gaussian:
    """The exact denoiser of images whose pixels are all N(mean, spread^2), with one mean (and spread) for each text.

    E[eps | z_t] = sigma (z_t - alpha mean) / (alpha^2 spread^2 + sigma^2).
    """

    clip: float | None = None
    unet = None
    group = 1

    def __init__(
        self, means: dict[str, float], spread: float = 0.1, knows_cameras: bool = False, spreads: dict[str, float] | None = None
    ) -> None:
        self.means, self.spread, self.knows_cameras, self.spreads = means, spread, knows_cameras, spreads or {}
        self.alphas_cumprod = torch.cos(torch.linspace(0.01, 1.55, 1000)) ** 2
        self.asked: list[str] = []
        self.cameras: list[Cameras | None] = []

    def encode_text(self, texts: list[str]) -> Tensor:
        self.asked = texts
        return torch.tensor([(self.means.get(text, 0.0), self.spreads.get(text, self.spread)) for text in texts])[:, None]

    def encode_images(self, images: Tensor) -> Tensor:
        return images.permute(0, 3, 1, 2) * 2 - 1

    def predict(self, noisy: Tensor, timestep: Tensor, text: Tensor, cameras: Cameras | None) -> Tensor:
        self.cameras.append(cameras)
        assert not noisy.requires_grad
        alphabar = self.alphas_cumprod[timestep][:, None, None, None]
        mean, spread = text.view(-1, 2, 1, 1, 1).unbind(1)
        return (1 - alphabar).sqrt() * (noisy - alphabar.sqrt() * mean) / (alphabar * spread**2 + 1 - alphabar)
