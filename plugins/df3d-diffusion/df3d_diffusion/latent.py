"""Denoisers that work on a VAE's latents: the Stable Diffusion family."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from df3d.errors import ModelError
from df3d.types import Cameras
from df3d_diffusion.denoiser import compiled
from df3d_diffusion.folder import pixels_per_latent
from df3d_diffusion.noising import at, to_noise
from df3d_diffusion.text import Encoder


class VaeDenoiser:
    """What models of latents have in common: a VAE, and pictures of `size` pixels along an axis, a multiple of `step`."""

    knows_cameras = False
    group = 1
    clip = None
    alphas_cumprod: Tensor

    def __init__(self, *, unet: Any, vae: Any, text: Encoder, size: int, step: int, name: str, hint: str) -> None:
        self.unet, self.vae, self.encode_text, self._size = unet, vae, text, size
        multiple = step * pixels_per_latent(vae.config)
        if size % multiple:
            raise ModelError(f"the model cannot see pictures of {size} pixels", f"give a multiple of {multiple} as guidance.size")
        if unet.config.in_channels != vae.config.latent_channels:
            raise ModelError(
                f"the {name} takes {unet.config.in_channels} channels and the VAE makes {vae.config.latent_channels}", hint
            )

    def encode_images(self, images: Tensor) -> Tensor:
        """Resized to the model's own size; the posterior's mode, so that the same image has the same latents."""
        pixels = functional.interpolate(images.permute(0, 3, 1, 2), (self._size, self._size), mode="bilinear", align_corners=False)
        encoded = self.vae.encode((pixels * 2 - 1).to(self.vae.dtype))
        if hasattr(encoded, "latent_dist"):
            latents = encoded.latent_dist.mode()
        else:
            latents = encoded.latent if hasattr(encoded, "latent") else encoded.latents  # of AutoencoderDC, and of tiny ones
        shift = self.vae.config.get("shift_factor") or 0.0
        found: Tensor = (latents.float() - shift) * self.vae.config.scaling_factor
        return found

    def compile(self) -> None:
        self.unet.forward = compiled(self.unet.forward, self.alphas_cumprod.device)
        self.vae.encode = compiled(self.vae.encode, self.alphas_cumprod.device)


class LatentDenoiser(VaeDenoiser):
    """Stable Diffusion 1 and 2 (arXiv 2112.10752) and, where the UNet asks for more than tokens, XL (arXiv 2307.01952)."""

    def __init__(self, *, unet: Any, vae: Any, scheduler: Any, text: Encoder, size: int = 0) -> None:
        super().__init__(
            unet=unet.to(memory_format=torch.channels_last),
            vae=vae.to(memory_format=torch.channels_last),
            text=text,
            size=size or unet.config.sample_size * pixels_per_latent(vae.config),
            step=8,
            name="UNet",
            hint="take a plain text-to-image model, not one for inpainting or depth, and a VAE of its family",
        )
        self.alphas_cumprod = scheduler.alphas_cumprod.to(unet.device)
        self._prediction = scheduler.config.prediction_type
        self._sizes = torch.tensor([self._size, self._size, 0, 0, self._size, self._size], device=unet.device)  # uncropped
        self._extra = unet.config.addition_embed_type == "text_time"

    def labels(self, cameras: Cameras | None) -> Tensor | None:
        """What the UNet is told beside text and timestep, (V, D), where it takes that."""
        return None

    def predict(self, noisy: Tensor, timestep: Tensor, text: Tensor, cameras: Cameras | None) -> Tensor:
        tokens = text.to(self.unet.dtype)
        extra = None
        if self._extra:
            tokens, pooled = tokens[:, :-1], tokens[:, -1]
            width = self.unet.config.projection_class_embeddings_input_dim - 6 * self.unet.config.addition_time_embed_dim
            extra = {"text_embeds": pooled[:, :width], "time_ids": self._sizes.to(tokens).expand(len(noisy), -1)}
        latents = noisy.to(self.unet.dtype, memory_format=torch.channels_last)
        labels = self.labels(cameras)
        labels = None if labels is None else labels.to(latents)
        raw = self.unet(latents, timestep, tokens, class_labels=labels, added_cond_kwargs=extra).sample.float()
        return to_noise(raw, noisy, at(self.alphas_cumprod, timestep, noisy), self._prediction)


def without_decoder(vae: Any) -> Any:
    """The VAE with its encoder alone: score distillation never decodes."""
    vae.decoder = None
    if hasattr(vae, "post_quant_conv"):
        vae.post_quant_conv = None
    return vae
