"""Pictures that a prior draws itself, from noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from df3d_diffusion.conditioning import with_sketches
from df3d_diffusion.denoiser import Denoiser
from df3d_diffusion.noising import denoised, noised, to_noise
from torch import Tensor

from df3d_prior.config import PriorConfig
from df3d_prior.guidance import load_from
from df3d_prior.model import SIZE
from df3d_prior.reading import Index
from df3d_prior.sources import views_of
from df3d_prior.words import EMPTY, Caption

SCALE, STEPS, AT_ONCE = 3.0, 24, 32


class Painter:
    """A prior that is asked for pictures."""

    def __init__(self, folder: Path, *, device: str = "cpu") -> None:
        self._prior = load_from(folder, PriorConfig(), device=device)

    @property
    def index(self) -> Index:
        """What it can be asked for."""
        return self._prior.index

    @torch.no_grad()
    def draw(
        self,
        captions: list[Caption],
        azimuth: np.ndarray,
        elevation: np.ndarray,
        *,
        seed: int = 0,
        steps: int = STEPS,
        scale: float = SCALE,
    ) -> Tensor:
        """(N, 3, SIZE, SIZE) in [-1, 1]: deterministic DDIM samples (arXiv 2010.02502, equation 12) with guidance.

        Caption i is seen from azimuth and elevation i, degrees.
        """
        images = torch.empty(len(captions), 3, SIZE, SIZE)
        for sketched in (False, True):
            chosen = [i for i, caption in enumerate(captions) if caption.sketched == sketched]
            for start in range(0, len(chosen), AT_ONCE):
                part = chosen[start : start + AT_ONCE]
                drawn = self._drawn([captions[i] for i in part], azimuth[part], elevation[part], seed + part[0], steps, scale)
                images[part] = drawn.cpu()
        return images

    def _drawn(
        self, captions: list[Caption], azimuth: np.ndarray, elevation: np.ndarray, seed: int, steps: int, scale: float
    ) -> Tensor:
        """Samples of captions that one network knows."""
        denoiser = self._prior.denoiser_of(captions[0])
        views, alphas = views_of(azimuth, elevation, SIZE).times(2), denoiser.alphas_cumprod
        asked = [self._encode(denoiser, c, a, e) for c, a, e in zip(captions, azimuth, elevation, strict=True)]
        empty = self._encode(denoiser, None, 0.0, 0.0)
        text = torch.cat([*asked, empty.expand(len(captions), -1, -1)])
        x = torch.randn(len(captions), 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed)).to(alphas.device)
        times = torch.linspace(len(alphas) - 10, 20, steps).long().to(alphas.device)
        for now, after in zip(times, [*times[1:], None], strict=True):
            a, b = alphas[now], torch.ones((), device=alphas.device) if after is None else alphas[after]
            noise = denoiser.predict(x.repeat(2, 1, 1, 1), now.expand(2 * len(x)), text, views)
            conditional, unconditional = noise.chunk(2)
            clean = denoised(x, unconditional + scale * (conditional - unconditional), a).clamp(-1, 1)
            x = noised(clean, to_noise(clean, x, a, "sample"), b)
        return x

    def _encode(self, denoiser: Denoiser, caption: Caption | None, azimuth: float, elevation: float) -> Tensor:
        text = denoiser.encode_text([caption.canonical() if caption else EMPTY])
        sketches = self._prior.sketches
        if sketches is None or not getattr(denoiser, "sketches", 0):
            return text
        return with_sketches(text, sketches.of(caption, float(azimuth), float(elevation))[None].to(text.device))
