"""The student of Variational Score Distillation: the frozen model with a low-rank adapter that learns the renders.

ProlificDreamer, arXiv 2305.16213, section 3.3. The adapter (LoRA, arXiv 2106.09685) sits in the attention of the same
network, switched on for the student and off for the teacher, so that there is one copy of the weights. Unlike the
paper's, the student is not told the camera, except through the view words of the prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from peft import LoraConfig
from torch import Tensor

from df3d.types import Cameras
from df3d_diffusion.denoiser import Denoiser
from df3d_diffusion.noising import at, noised

_NAME = "student"


class Student:
    """Shares its network with `denoiser`; outside `predict` and `loss` the adapter is off."""

    def __init__(self, denoiser: Denoiser, *, rank: int) -> None:
        self._denoiser, self._network = denoiser, denoiser.unet
        layers = ["to_q", "to_k", "to_v", "to_out.0"]
        self._network.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=layers), adapter_name=_NAME)
        self._weights = {name: weight for name, weight in self._network.named_parameters() if f".{_NAME}." in name}
        for weight in self._weights.values():
            weight.data = weight.data.float()
        self._off()

    def parameters(self) -> list[Tensor]:
        return list(self._weights.values())

    def state_dict(self) -> dict[str, Tensor]:
        return {name: weight.detach() for name, weight in self._weights.items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        with torch.no_grad():
            for name, weight in self._weights.items():
                weight.copy_(state[name])

    def predict(self, noisy: Tensor, timestep: Tensor, text: Tensor, cameras: Cameras | None) -> Tensor:
        """The noise in `noisy`, as `Denoiser.predict`."""
        with self._on():
            return self._denoiser.predict(noisy, timestep, text, cameras)

    def loss(self, latents: Tensor, text: Tensor, cameras: Cameras | None, generator: torch.Generator) -> Tensor:
        """Squared error of the noise seen in `latents`, noised anew, a mean over the views; differentiable in the adapter alone.

        A sum over the latents, since gradients of their mean underflow in half precision; Adam does not mind the factor.
        """
        alphas_cumprod = self._denoiser.alphas_cumprod
        timestep = torch.randint(0, len(alphas_cumprod), (len(latents),), generator=generator).to(latents.device)
        noise = torch.randn(latents.shape, generator=generator).to(latents)
        noisy = noised(latents.detach(), noise, at(alphas_cumprod, timestep, latents))
        return (self.predict(noisy, timestep, text, cameras) - noise).square().sum() / len(latents)

    @contextmanager
    def _on(self) -> Iterator[Any]:
        self._network.enable_adapters()
        try:
            yield
        finally:
            self._off()

    def _off(self) -> None:
        self._network.disable_adapters()
        for weight in self._weights.values():
            weight.requires_grad_(True)  # which switching off takes away
