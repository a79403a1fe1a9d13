"""What a prior knew before it is trained further: pictures that it draws of its old objects, to be learned again with the new.

Without them a network forgets (Z. Li and D. Hoiem, "Learning without forgetting", arXiv 1606.09282).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from df3d_prior import colors
from df3d_prior.config import TrainConfig
from df3d_prior.sampling import Painter
from df3d_prior.sources import Drawn, random_angles
from df3d_prior.words import Caption, Thing

STEPS = 12


@dataclass(frozen=True)
class MemorySource:
    """Pictures that were drawn before the training."""

    drawn: Drawn

    def draw(self, rng: np.random.Generator, count: int, size: int) -> Drawn:
        chosen = rng.integers(len(self.drawn.captions), size=count)
        images = self.drawn.images[chosen]
        factor = images.shape[1] // size
        if factor > 1:
            images = images.reshape(count, size, factor, size, factor, 3).mean((2, 4))
        return Drawn(images, [self.drawn.captions[i] for i in chosen], self.drawn.azimuth[chosen], self.drawn.elevation[chosen])


def remember(folder: Path, words: list[str], config: TrainConfig) -> MemorySource | None:
    """Pictures of random old objects, of those with these words, half of them painted; None when none are wanted."""
    count = min(config.memories, config.images // 16)
    if not words or not count:
        return None
    rng = np.random.default_rng((config.seed, 1))
    captions = []
    for _ in range(count):
        color = None if rng.random() < 0.5 else colors.NAMES[rng.integers(len(colors.NAMES))]
        captions.append(Caption(Thing(words[rng.integers(len(words))], color)))
    azimuth, elevation = random_angles(rng, count)
    images = Painter(folder).draw(captions, azimuth, elevation, seed=config.seed, steps=STEPS)
    return MemorySource(Drawn((images.permute(0, 2, 3, 1) * 0.5 + 0.5).cpu().numpy(), captions, azimuth, elevation))
