"""Pictures that a prior draws itself, from noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from df3d_diffusion.conditioning import with_sketches
from df3d_diffusion.noising import denoised, noised, to_noise
from torch import Tensor

from df3d_prior.config import PriorConfig
from df3d_prior.guidance import load_from
from df3d_prior.model import SIZE
from df3d_prior.sources import views_of
from df3d_prior.words import EMPTY, Caption

SCALE, STEPS, AT_ONCE = 3.0, 24, 32


class Painter:
    """A prior that is asked for pictures."""

    def __init__(self, folder: Path, *, device: str = "cpu") -> None:
        loaded = load_from(folder, PriorConfig(), device=device)
        self.index, self.denoiser, self.sketches = loaded.index, loaded.denoiser, loaded.sketches

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
        views, alphas = views_of(azimuth, elevation, SIZE), self.denoiser.alphas_cumprod
        texts = torch.cat([self._encode(c, a, e) for c, a, e in zip(captions, azimuth, elevation, strict=True)])
        empty = self._encode(None, 0.0, 0.0)
        parts = []
        for part in torch.arange(len(captions)).split(AT_ONCE):
            text = torch.cat([texts[part], empty.expand(len(part), -1, -1)])
            x = torch.randn(len(part), 3, SIZE, SIZE, generator=torch.Generator().manual_seed(seed + int(part[0]))).to(
                alphas.device
            )
            times = torch.linspace(len(alphas) - 10, 20, steps).long().to(alphas.device)
            for now, after in zip(times, [*times[1:], None], strict=True):
                a, b = alphas[now], torch.ones((), device=alphas.device) if after is None else alphas[after]
                noise = self.denoiser.predict(x.repeat(2, 1, 1, 1), now.expand(2 * len(x)), text, views[part].times(2))
                conditional, unconditional = noise.chunk(2)
                clean = denoised(x, unconditional + scale * (conditional - unconditional), a).clamp(-1, 1)
                x = noised(clean, to_noise(clean, x, a, "sample"), b)
            parts.append(x)
        return torch.cat(parts)

    def _encode(self, caption: Caption | None, azimuth: float, elevation: float) -> Tensor:
        text = self.denoiser.encode_text([caption.canonical() if caption else EMPTY])
        if self.sketches is None:
            return text
        return with_sketches(text, self.sketches.of(caption, float(azimuth), float(elevation))[None].to(text.device))
