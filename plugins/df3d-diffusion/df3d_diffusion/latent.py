"""Denoisers that work on a VAE's latents: the Stable Diffusion family."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from df3d.types import Cameras
from df3d_diffusion.pixel import to_noise
from df3d_diffusion.text import TextEncoder


class LatentDenoiser:
    """A Stable Diffusion pipeline folder (arXiv 2112.10752)."""

    knows_cameras = False
    clip = None

    def __init__(self, *, unet: Any, vae: Any, scheduler: Any, tokenizer: Any, text_encoder: Any) -> None:
        self.unet, self.vae = unet, vae
        self.alphas = scheduler.alphas_cumprod.to(unet.device)
        self._prediction = scheduler.config.prediction_type
        self._text = TextEncoder(tokenizer, text_encoder)
        self._size = unet.config.sample_size * 2 ** (len(vae.config.block_out_channels) - 1)

    def encode_text(self, texts: list[str]) -> Tensor:
        return self._text(texts)

    def forget_text_encoder(self) -> None:
        self._text.forget()

    def encode_images(self, images: Tensor) -> Tensor:
        """Resized to the model's own size; the posterior's mode, so that the same image has the same latents."""
        pixels = functional.interpolate(images.permute(0, 3, 1, 2), (self._size, self._size), mode="bilinear", align_corners=False)
        posterior = self.vae.encode((pixels * 2 - 1).to(self.vae.dtype)).latent_dist
        return posterior.mode().float() * self.vae.config.scaling_factor

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        pixels = self.vae.decode((latents / self.vae.config.scaling_factor).to(self.vae.dtype)).sample
        return (pixels.float().permute(0, 2, 3, 1) * 0.5 + 0.5).clamp(0, 1)

    def predict(self, noisy: Tensor, timestep: Tensor, text: Tensor, cameras: Cameras | None) -> Tensor:
        raw = self.unet(noisy.to(self.unet.dtype), timestep, text.to(self.unet.dtype)).sample.float()
        return to_noise(raw, noisy, self.alphas[timestep], self._prediction)
