"""What a guidance needs to know of a diffusion model, whatever its family."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from df3d.system.machine import use_cache_folder
from df3d.types import Cameras


class Denoiser(Protocol):
    """A frozen text-to-image diffusion model. V images; `latents` are what it noises: pixels, or a VAE's latents."""

    unet: Any  # the network itself, a diffusers model
    alphas_cumprod: Tensor  # (T,) alphabar of the noise schedule, from clean to noise
    knows_cameras: bool  # whether `predict` can use a camera
    group: int  # rows of a batch that are views of one object, denoised together; 1: each is alone

    @property
    def clip(self) -> float | None:
        """Clean latents lie in [-clip, clip]; None: unbounded."""
        ...

    def encode_text(self, texts: list[str]) -> Tensor:
        """(len(texts), L, D) token encodings."""
        ...

    def encode_images(self, images: Tensor) -> Tensor:
        """Latents (V, C, h, w) of images (V, H, W, 3) in [0, 1]; differentiable."""
        ...

    def compile(self) -> None:
        """Make what follows faster, at the price of compiling it at the first call."""
        ...

    def predict(self, noisy: Tensor, timestep: Tensor, text: Tensor, cameras: Cameras | None) -> Tensor:
        """The noise in `noisy` (V, C, h, w) at timestep (V,) under text (V, L, D), seen from cameras or, None, from anywhere."""
        ...


def compiled(forward: Any, device: torch.device) -> Any:
    """A network's forward by torch.compile, as CUDA graphs on a GPU: small launches cost more than they compute there."""
    use_cache_folder()
    return torch.compile(forward, mode="reduce-overhead" if device.type == "cuda" else "default")
