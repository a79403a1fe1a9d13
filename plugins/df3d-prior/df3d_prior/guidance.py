"""Score distillation on a prior: the same guidance as `sds`, with a prior's own reading of the prompt.

An object of a library has a sketch for each camera, which goes to the model behind the encodings of the text.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import torch
from df3d_diffusion.conditioning import with_sketches
from df3d_diffusion.denoiser import Denoiser
from df3d_diffusion.loading import load
from df3d_diffusion.sds import Distillation
from df3d_diffusion.views import EncodedPrompt, Texts
from torch import Tensor

from df3d.errors import ConfigError
from df3d.prompt import VIEWS, Prompt, View
from df3d.types import Cameras
from df3d_prior.config import PriorConfig
from df3d_prior.norm import use_small_norms
from df3d_prior.prompts import folder_of, index_of, world_of
from df3d_prior.reading import Index
from df3d_prior.sketches import FILE as SKETCHES
from df3d_prior.sketches import Sketches
from df3d_prior.winograd import use_winograd
from df3d_prior.words import EMPTY, Caption


@dataclass(frozen=True)
class EncodedCaption(EncodedPrompt):
    """A prompt's encodings without its sketches, and how it was understood."""

    caption: Caption | None = None


class PriorDistillation(Distillation):
    """A prior's denoiser, the index of what it has words for, and the sketches of its objects."""

    def __init__(self, config: PriorConfig, index: Index, sketches: Sketches | None, load: Callable[[bool], Denoiser]) -> None:
        """`load` loads the denoiser of captions with sketches, or of those without; they may be one."""
        self._load, self._sketching = load, not index.owns
        self._denoiser: Denoiser | None = None
        super().__init__(replace(config, compile=False), None)  # `load` compiles
        self.config: PriorConfig = config
        self.index, self.sketches = index, sketches

    @property
    def denoiser(self) -> Denoiser:
        """The denoiser of the prompt encoded last. It is loaded when it is first needed: a prompt needs one of the two."""
        if self._denoiser is None:
            self._denoiser = self._load(self._sketching)
        return self._denoiser

    @denoiser.setter
    def denoiser(self, denoiser: Denoiser) -> None:
        self._denoiser = denoiser

    def denoiser_of(self, caption: Caption | None) -> Denoiser:
        """The denoiser that knows the things of a caption.

        Raises ConfigError where an objective has begun to learn beside another one.
        """
        sketching = caption.sketched if caption else self._sketching
        found = self._load(sketching)
        if self._student and found is not self.denoiser:
            raise ConfigError(f"the objective {self.config.objective} cannot learn this prompt here", "name another objective")
        return found

    def encode(self, prompt: Prompt) -> EncodedCaption:
        """Encode the prompt for every view."""
        caption = self.index.read(prompt.text).caption
        self.denoiser = self.denoiser_of(caption)
        negative = self.index.read(prompt.negative).caption if prompt.negative else None
        views: list[View | None] = [None, *VIEWS]
        texts = [caption.canonical(view) if caption else EMPTY for view in views]
        encoded = self.denoiser.encode_text([*texts, negative.canonical() if negative else EMPTY])
        avoided = self._sketched(encoded[-1:], None, [(0.0, 0.0)])
        return EncodedCaption({view: encoded[i : i + 1] for i, view in enumerate(views)}, avoided, caption)

    def texts(self, cameras: Cameras, encoded: EncodedPrompt, *, told: bool) -> Texts:
        """The texts of each camera, with the sketches that it sees behind them."""
        found = super().texts(cameras, encoded, told=told)
        if not isinstance(encoded, EncodedCaption):
            return found
        angles = list(zip(cameras.azimuth.tolist(), cameras.elevation.tolist(), strict=True))
        avoid = [self._sketched(text, encoded.caption, angles) for text in found.avoid]
        text = self._sketched(found.text, encoded.caption, angles)
        return Texts(text, torch.stack(avoid) if avoid else text[:0, None], found.weights)

    def _sketched(self, text: Tensor, caption: Caption | None, angles: list[tuple[float, float]]) -> Tensor:
        """Encodings (V, L, D) with the sketches of a caption from V azimuths and elevations behind them."""
        if self.sketches is None or not getattr(self.denoiser, "sketches", 0):
            return text
        seen = torch.stack([self.sketches.of(caption, azimuth, elevation) for azimuth, elevation in angles])
        return with_sketches(text, seen.to(text.device))


def from_config(config: PriorConfig, *, device: str = "cpu") -> PriorDistillation:
    """Load the prior that a configuration names."""
    return load_from(folder_of(config), config, device=device)


def load_from(folder: Path, config: PriorConfig, *, device: str) -> PriorDistillation:
    """Load the prior in a folder: the network of its objects, and that of the world's nouns, each when it is first needed."""
    index = index_of(folder)
    sketches = Sketches.load(folder, index.sketched) if (folder / SKETCHES).is_file() else None

    @cache
    def loaded(place: Path) -> Denoiser:
        denoiser = load(str(place), device=device, dtype=config.dtype)
        if config.compile:
            denoiser.compile()
        else:  # torch.compile knows nothing of them
            use_winograd(denoiser.unet)
            use_small_norms(denoiser.unet)
        return denoiser

    return PriorDistillation(config, index, sketches, lambda sketching: loaded(folder if sketching else world_of(folder)))
