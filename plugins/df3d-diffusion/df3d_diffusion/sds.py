"""Score Distillation Sampling (DreamFusion, arXiv 2209.14988, equation 3), on any `Denoiser`.

    eps_hat = eps_uncond + scale * (eps_text - eps_uncond)
    d loss / d latents = w(t) * (eps_hat - eps)                        objective "sds"
    d loss / d latents = latents - x0_hat                              objective "reconstruction"

x0_hat = (z_t - sigma eps_hat) / alpha is the clean image that eps_hat stands for, so that the second is the first with
w = sigma / alpha; its contrast can be brought back to the unguided prediction's (arXiv 2305.08891, section 3.4, as in
MVDream, arXiv 2308.16512), and pixel models clip it to the range of images.
Nothing is backpropagated through the diffusion model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from df3d.prompt import VIEWS, Prompt, View, for_view
from df3d.schedule import Step
from df3d.types import Cameras, GuidanceStep, RenderOutput
from df3d_diffusion.config import DistillationConfig, SdsConfig, Weighting
from df3d_diffusion.denoiser import Denoiser

Wording = Callable[[str, View | None], str]


@dataclass(frozen=True)
class EncodedPrompt:
    """Token encodings (1, L, D) for each view, for no view, and of the negative prompt."""

    views: dict[View | None, Tensor]
    negative: Tensor


class Distillation:
    """The guidance: a denoiser, and how its prediction becomes a loss."""

    def __init__(self, config: DistillationConfig, denoiser: Denoiser, *, wording: Wording | None = None) -> None:
        self.config = config
        self.denoiser = denoiser
        self.wording = wording or (lambda text, view: for_view(text, view) if view else text)

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """Encode the prompt for every view, then let go of the text encoder."""
        views: list[View | None] = [None, *VIEWS]
        texts = [self.wording(prompt.text, view) for view in views]
        negative = self.wording(prompt.negative, None) if prompt.negative else self.wording("", None)
        encoded = self.denoiser.encode_text([*texts, negative])
        self.denoiser.forget_text_encoder()
        return EncodedPrompt({view: encoded[i : i + 1] for i, view in enumerate(views)}, encoded[-1:])

    def step(self, render: RenderOutput, cameras: Cameras, encoded: EncodedPrompt, step: Step) -> GuidanceStep:
        """Ask the model about one batch of renders; the loss has the objective's gradient, per view."""
        config, count = self.config, len(cameras)
        latents = self.denoiser.encode_images(render.rgb)
        with torch.no_grad():
            generator = step.generator("guidance")
            alphas = self.denoiser.alphas
            low, high = (int(share.at(step) * len(alphas)) for share in (config.t_min, config.t_max))
            low = min(low, len(alphas) - 1)
            timestep = torch.randint(low, max(high, low + 1), (count,), generator=generator).to(latents.device)
            noise = torch.randn(latents.shape, generator=generator).to(latents)
            alpha = alphas[timestep].to(latents)[:, None, None, None]
            noisy = alpha.sqrt() * latents + (1 - alpha).sqrt() * noise
            text, uncond = self._predict(noisy, timestep, cameras, encoded)
            guided = uncond + config.scale * (text - uncond)
            if config.objective == "sds":
                gradient = torch.nan_to_num(weight(config.weighting, alpha) * (guided - noise))
                target = latents - gradient
            else:
                target = self._clean(noisy, guided, alpha, like=self._clean(noisy, text, alpha))
        loss = 0.5 * (latents - target).square().sum() / count
        stats = {"t": float(timestep.float().mean() / len(alphas))}
        return GuidanceStep(loss, timestep, stats, preview=lambda: self.denoiser.decode(target))

    def _predict(self, noisy: Tensor, timestep: Tensor, cameras: Cameras, encoded: EncodedPrompt) -> tuple[Tensor, Tensor]:
        """Noise under the text and without it, in one batch."""
        config, count = self.config, len(cameras)
        text = torch.cat([encoded.views[view] for view in self._views(cameras)])
        told = cameras.twice() if config.camera and self.denoiser.knows_cameras else None
        both = torch.cat([text, encoded.negative.expand(count, -1, -1)])
        prediction = self.denoiser.predict(noisy.repeat(2, 1, 1, 1), timestep.repeat(2), both, told)
        conditional, unconditional = prediction.to(noisy.dtype).chunk(2)
        return conditional, unconditional

    def _views(self, cameras: Cameras) -> list[View | None]:
        views = self.config.views
        if not views.enabled or (self.config.camera and self.denoiser.knows_cameras):
            return [None] * len(cameras)
        angles = zip(cameras.azimuth.tolist(), cameras.elevation.tolist(), strict=True)
        return [views.view(azimuth, elevation) for azimuth, elevation in angles]

    def _clean(self, noisy: Tensor, noise: Tensor, alpha: Tensor, *, like: Tensor | None = None) -> Tensor:
        """The clean latents that `noise` stands for, with a share of the contrast of `like`."""
        clean = (noisy - (1 - alpha).sqrt() * noise) / alpha.sqrt()
        if like is not None and self.config.rescale:
            axes = (1, 2, 3)
            factor = like.std(axes, keepdim=True) / clean.std(axes, keepdim=True).clamp_min(1e-6)
            clean = clean * (self.config.rescale * factor + 1 - self.config.rescale)
        return clean if self.denoiser.clip is None else clean.clamp(-self.denoiser.clip, self.denoiser.clip)


def weight(kind: Weighting, alpha: Tensor) -> Tensor:
    """w(t): sigma^2 (DreamFusion), 1, or alpha sigma^2 with alpha the signal's share (Fantasia3D, arXiv 2303.13873)."""
    if kind == "sigma2":
        return 1 - alpha
    return torch.ones_like(alpha) if kind == "uniform" else alpha.sqrt() * (1 - alpha)


def from_config(config: SdsConfig, *, device: str = "cpu") -> Distillation:
    """SDS on the pipeline folder `config.model`."""
    from df3d_diffusion.loading import load

    return Distillation(config, load(config.model, device=device, dtype=config.dtype))
