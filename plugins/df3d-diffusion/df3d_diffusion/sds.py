"""The guidance: a diffusion model's opinion of renders, as a loss with the gradient of the chosen objective."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from df3d.errors import ConfigError, ModelError
from df3d.prompt import VIEWS, Prompt, View, for_view
from df3d.schedule import Step
from df3d.types import Cameras, GuidanceStep, RenderOutput
from df3d_diffusion.config import DistillationConfig, MultiViewConfig, SdsConfig
from df3d_diffusion.denoiser import Denoiser
from df3d_diffusion.loading import load
from df3d_diffusion.matting import least_opacity
from df3d_diffusion.networks import save_activations
from df3d_diffusion.noise import noise_for
from df3d_diffusion.objectives import OBJECTIVES, Prediction, Query, clip_gradient
from df3d_diffusion.views import EncodedPrompt, Texts, perpendicular, texts_for

if TYPE_CHECKING:
    from df3d_diffusion.student import Student

STUDENTS = {"vsd", "esd"}  # objectives that train one
Wording = Callable[[str, View | None], str]


class Distillation:
    """A denoiser, and how its predictions become a loss."""

    def __init__(self, config: DistillationConfig, denoiser: Denoiser | None, *, wording: Wording | None = None) -> None:
        """`denoiser` is None where a subclass has a property of that name, which loads it later."""
        self.config = config
        if denoiser is not None:
            self.denoiser = denoiser
        self.wording = wording or self._wording
        self._most, self._rows = config.at_once, 2
        self._latent_until = config.latent_until if isinstance(config, SdsConfig) else 0.0
        self._student: Student | None = None
        if config.compile:
            self.denoiser.compile()
        if config.objective in STUDENTS:
            from df3d_diffusion.student import Student

            self._student = Student(self.denoiser, rank=config.student_rank)

    def with_config(self, config: DistillationConfig) -> Distillation | None:
        """The same model with other options; None where they load, compile or learn something else."""
        loads = ("model", "dtype", "vae", "family", "checkpoint_vae", "compile", "size")
        same = all(getattr(config, name, None) == getattr(self.config, name, None) for name in loads)
        if not same or STUDENTS & {config.objective, self.config.objective}:
            return None
        other = copy(self)
        other.config, other._most, other._rows = config, config.at_once, 2
        other._latent_until = config.latent_until if isinstance(config, SdsConfig) else 0.0
        if other.wording == self._wording:
            other.wording = other._wording
        return other

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": self._student.parameters(), "lr": self.config.student_rate}] if self._student else []

    def before_step(self, step: Step) -> None:
        pass

    def state_dict(self) -> dict[str, Tensor]:
        return self._student.state_dict() if self._student else {}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        if self._student:
            self._student.load_state_dict(state)

    def save_memory(self) -> str:
        """Let the VAE keep less, then give the model fewer images at once."""
        vae = getattr(self.denoiser, "vae", None)
        if vae is not None and save_activations(vae):
            return "the VAE's encoder keeps less and computes it again"
        least = self.denoiser.group
        if self._most and self._most <= least:
            return ""
        self._most = max(least, (self._most or self._rows) // 2)
        return f"asking the model about {self._most} image{'s' * (self._most > 1)} at a time"

    def encode(self, prompt: Prompt) -> EncodedPrompt:
        """Encode the prompt for every view."""
        views: list[View | None] = [None, *VIEWS]
        texts = [self.wording(prompt.text, view) for view in views]
        negative = self.wording(prompt.negative, None) if prompt.negative else self.wording("", None)
        with aside(getattr(self.denoiser, "unet", None)):
            encoded = self.denoiser.encode_text([*texts, negative])
        return EncodedPrompt({view: encoded[i : i + 1] for i, view in enumerate(views)}, encoded[-1:])

    def texts(self, cameras: Cameras, encoded: EncodedPrompt, *, told: bool) -> Texts:
        """The texts of each camera; `told`: the model is told the camera itself."""
        return texts_for(self.config, cameras, encoded, told=told)

    def step(self, render: RenderOutput, cameras: Cameras, encoded: EncodedPrompt, step: Step) -> GuidanceStep:
        """Ask the model about one batch of renders.

        The loss is half the squared distance to where the objective's gradient leads, a mean over the views, so that its
        gradient with respect to the latents is the objective's, over V.
        """
        config, count = self.config, len(cameras)
        latents = self._shape_as_latents(render) if step.progress < self._latent_until else self._encode(render.rgb)
        told = cameras if config.camera and self.denoiser.knows_cameras else None
        texts = self.texts(cameras, encoded, told=told is not None)
        generator, alphas_cumprod = step.generator("guidance"), self.denoiser.alphas_cumprod
        low, high = (int(share.at(step) * len(alphas_cumprod)) for share in (config.t_min, config.t_max))
        low = min(low, len(alphas_cumprod) - 1)
        first, end = (low, high) if config.order == "random" else (high - int(config.jitter * len(alphas_cumprod)), high + 1)
        first, end = min(max(first, 0), len(alphas_cumprod) - 1), min(end, len(alphas_cumprod))
        group = self.denoiser.group if told is not None else 1  # views of one object have one timestep
        timestep = torch.randint(first, max(end, first + 1), (count // group,), generator=generator).repeat_interleave(group)
        timestep = timestep.to(latents.device, non_blocking=True)
        noise = noise_for(config.noise, config.noise_every, cameras, latents.shape, step, generator, render)
        student = partial(self._opinion, self._student) if self._student else None
        with torch.no_grad():
            query = Query(
                latents=latents.detach(),
                noise=noise.to(latents, non_blocking=True),
                timestep=timestep,
                alphas_cumprod=alphas_cumprod,
                clip=self.denoiser.clip,
                config=config,
                predict=lambda noisy, t: self._predict(noisy, t, told, texts, encoded.negative),
                text=lambda noisy, t: self.denoiser.predict(noisy, t, texts.text, told).to(noisy.dtype),
                group=group,
                low=low,
                draw=lambda: torch.randn(latents.shape, generator=generator).to(latents),
                student=student and partial(student, texts.text, told),
                anywhere=student and partial(student, encoded.views[None].expand(count, -1, -1), None),
            )
            gradient = OBJECTIVES[config.objective](query)
            gradient = clip_gradient(gradient, value=config.clip_value.at(step), norm=config.clip_norm.at(step))
            target = query.latents - gradient
        loss = 0.5 * (latents - target).square().sum() / count
        if matting := config.matting.at(step):
            loss = loss + matting * self._missing_opacity(target, render)
        if self._student:
            loss = loss + self._student.loss(latents, texts.text, told, generator)
        stats: dict[str, Tensor | float] = {"t": timestep.float().mean() / len(alphas_cumprod)}
        return GuidanceStep(loss, timestep, stats)

    @staticmethod
    def _opinion(student: Student, text: Tensor, told: Cameras | None, noisy: Tensor, timestep: Tensor) -> Tensor:
        return student.predict(noisy, timestep, text, told)

    def _shape_as_latents(self, render: RenderOutput) -> Tensor:
        """Normals and opacity, in [-1, 1], for a VAE's four channels (Fantasia3D, arXiv 2303.13873, section 3.2)."""
        assert render.normal is not None
        four = torch.cat([render.normal, 2 * render.opacity - 1], dim=-1).permute(0, 3, 1, 2)
        size = self.denoiser.unet.config.get("sample_size")
        if self.denoiser.unet.config.in_channels != 4 or not size:
            raise ConfigError("`guidance.latent_until` is for models with four latent channels", "set it to 0")
        return functional.interpolate(four, (size, size), mode="bilinear", align_corners=False, antialias=True)

    def _missing_opacity(self, target: Tensor, render: RenderOutput) -> Tensor:
        """Half the squared opacity that the render lacks for the target, in units of the latents, a mean over the views."""
        if self.denoiser.clip is None:
            raise ConfigError("`guidance.matting` is for models of pixels", "set it to 0")
        assert render.background is not None
        needed = least_opacity(target, self.denoiser.encode_images(render.background.detach())) * 2 - 1
        opacity = self.denoiser.encode_images(render.opacity)
        return 0.5 * (needed - opacity).clamp_min(0).square().sum() / len(target)

    def _encode(self, images: Tensor) -> Tensor:
        if not self._most:
            return self.denoiser.encode_images(images)
        parts = images.split(self._most)
        return torch.cat([checkpoint(self.denoiser.encode_images, part, use_reentrant=False) for part in parts])

    def _wording(self, text: str, view: View | None) -> str:
        own = getattr(self.config.words, view) if view and isinstance(self.config, SdsConfig) else ""
        return own or (for_view(text, view) if view else text)

    def _predict(self, noisy: Tensor, timestep: Tensor, told: Cameras | None, texts: Texts, negative: Tensor) -> Prediction:
        """Noise under the text, without it, and under every text to avoid, in one batch."""
        count, copies = len(noisy), 2 + len(texts.avoid)
        every = torch.cat([texts.text, negative.expand(count, -1, -1), *texts.avoid])
        cameras = told and told.times(copies)
        rows = noisy.repeat(copies, 1, 1, 1), timestep.repeat(copies), every
        self._rows = len(every)
        most = self._most or len(every)
        most += -most % self.denoiser.group  # views of one object stay together
        parts = [slice(start, start + most) for start in range(0, len(every), most)]
        noise = [self.denoiser.predict(rows[0][part], rows[1][part], rows[2][part], cameras and cameras[part]) for part in parts]
        text, uncond, *avoid = torch.cat(noise).to(noisy.dtype).chunk(copies)
        towards = text - uncond
        direction = towards
        for away, weight in zip(avoid, texts.weights, strict=True):
            direction = direction + weight[:, None, None, None] * perpendicular(away - uncond, towards)
        return Prediction(text, uncond, uncond + self.config.scale * direction)


@contextmanager
def aside(network: Any) -> Iterator[None]:
    """A network on a GPU makes room there: DeepFloyd IF's text encoder is larger than its UNet."""
    place = next(network.parameters()).device if isinstance(network, torch.nn.Module) else torch.device("cpu")
    if place.type == "cpu":
        yield
        return
    network.to("cpu")
    try:
        yield
    finally:
        network.to(place)


def from_config(config: SdsConfig, *, device: str = "cpu") -> Distillation:
    """SDS on the pipeline folder `config.model`.

    Raises ModelError when it is a multi-view model and the guidance is not, or the other way round.
    """
    denoiser = load(
        config.model,
        device=device,
        dtype=config.dtype,
        vae=config.vae,
        checkpoint_vae=config.checkpoint_vae,
        family=config.family,
        size=config.size,
    )
    together = isinstance(config, MultiViewConfig)
    if together and denoiser.group == 1:
        raise ModelError(f"`{config.model}` sees one picture at a time", "use it with guidance `sds`, or take a multi-view model")
    if not together and denoiser.group > 1:
        raise ModelError(f"`{config.model}` is a multi-view model", "use it with guidance `mvdream`: --recipe mvdream")
    return Distillation(config, denoiser)
