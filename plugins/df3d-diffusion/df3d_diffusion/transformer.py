"""Denoisers whose network is a transformer: Stable Diffusion 3, SANA and PRX, which are rectified flows, and PixArt-Sigma.

A rectified flow noises by a straight line, z_s = (1 - s) x + s eps, and predicts the velocity eps - x (arXiv 2209.03003). It is a
variance-preserving predictor of noise in other units: with k = sqrt((1 - s)^2 + s^2), z_s / k is x noised at alphabar =
((1 - s) / k)^2, and eps_hat = z_s + (1 - s) v_hat. So every objective works on flows as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from df3d.types import Cameras
from df3d_diffusion.latent import VaeDenoiser
from df3d_diffusion.noising import at
from df3d_diffusion.text import Encoder

STEPS = 1000  # timesteps of a flow, as of the diffusion models


@dataclass(frozen=True)
class Family:
    """How the network of a family is asked, and what its texts are."""

    encoders: tuple[tuple[str, ...], ...]  # the classes that each of its text encoders may have, `text_encoder` first
    tokens: int  # of the last encoder
    ask: Callable[[Any, Tensor, Tensor, Tensor], Tensor]  # network, latents, sigma or timestep (V,), text (V, L, D)
    flow: bool = True


class TransformerDenoiser(VaeDenoiser):
    """One of FAMILIES, with its VAE."""

    def __init__(self, *, unet: Any, vae: Any, scheduler: Mapping[str, Any], text: Encoder, size: int) -> None:
        step = int(unet.config.get("patch_size", 1))
        super().__init__(unet=unet, vae=vae, text=text, size=size, step=step, name="transformer", hint="take a VAE of its family")
        self.family = FAMILIES[type(unet).__name__]
        weight = next(unet.parameters())
        self._dtype = weight.dtype
        if self.family.flow:
            self._sigmas = shifted(float(scheduler.get("shift", scheduler.get("flow_shift", 1.0)))).to(weight.device)
            self.alphas_cumprod = alphabar_of(self._sigmas)
        else:
            self.alphas_cumprod = scheduler["alphas_cumprod"].to(weight.device)

    def predict(self, noisy: Tensor, timestep: Tensor, text: Tensor, cameras: Cameras | None) -> Tensor:
        if not self.family.flow:
            raw = self.family.ask(self.unet, noisy.to(self._dtype), timestep, text.to(self._dtype))
            return raw.float()[:, : noisy.shape[1]]  # PixArt predicts a variance too; it is left out
        sigma = at(self._sigmas, timestep, noisy)
        flow = noisy * ((1 - sigma).square() + sigma.square()).sqrt()
        raw = self.family.ask(self.unet, flow.to(self._dtype), self._sigmas[timestep].to(self._dtype), text.to(self._dtype))
        return flow + (1 - sigma) * raw.float()[:, : noisy.shape[1]]


def shifted(shift: float) -> Tensor:
    """(1000,) sigma from nearly 0 to 1, more of them at high noise: shift u / (1 + (shift - 1) u) (SD3, arXiv 2403.03206)."""
    even = torch.arange(1, STEPS + 1, dtype=torch.float64) / STEPS
    return (shift * even / (1 + (shift - 1) * even)).float()


def alphabar_of(sigmas: Tensor) -> Tensor:
    """alphabar of a flow's sigmas: (1 - s)^2 / ((1 - s)^2 + s^2)."""
    return ((1 - sigmas).square() / ((1 - sigmas).square() + sigmas.square())).clamp_min(1e-8)  # at sigma 1 nothing is left of x


def _sd3(network: Any, latents: Tensor, sigma: Tensor, text: Tensor) -> Tensor:
    """The last row of the text is the pooled one."""
    pooled = text[:, -1, : network.config.pooled_projection_dim]
    return network(
        hidden_states=latents, timestep=sigma * STEPS, encoder_hidden_states=text[:, :-1], pooled_projections=pooled
    ).sample  # fmt: skip


def _sana(network: Any, latents: Tensor, sigma: Tensor, text: Tensor) -> Tensor:
    """The last column of the text, and of those below, says which rows are no padding."""
    scale = network.config.get("timestep_scale", 1.0)
    mask = (text[..., -1] > 0).to(text.dtype)
    return network(
        latents, timestep=sigma * STEPS * scale, encoder_hidden_states=text[..., :-1], encoder_attention_mask=mask
    ).sample


def _prx(network: Any, latents: Tensor, sigma: Tensor, text: Tensor) -> Tensor:
    return network(
        hidden_states=latents, timestep=sigma, encoder_hidden_states=text[..., :-1], attention_mask=text[..., -1] > 0
    ).sample  # fmt: skip


def _pixart(network: Any, latents: Tensor, timestep: Tensor, text: Tensor) -> Tensor:
    mask = (text[..., -1] > 0).to(text.dtype)
    none = {"resolution": None, "aspect_ratio": None}
    return network(
        latents, timestep=timestep, encoder_hidden_states=text[..., :-1], encoder_attention_mask=mask, added_cond_kwargs=none
    ).sample  # fmt: skip


_T5, _CLIP = ("T5EncoderModel",), ("CLIPTextModelWithProjection",)
FAMILIES = {
    "SD3Transformer2DModel": Family((_CLIP, _CLIP, _T5), 256, _sd3),
    "SanaTransformer2DModel": Family((("Gemma2Model",),), 300, _sana),
    "PRXTransformer2DModel": Family((("T5GemmaEncoder", *_T5),), 256, _prx),
    "PixArtTransformer2DModel": Family((_T5,), 300, _pixart, flow=False),
}
