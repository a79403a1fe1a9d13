"""Options of the toybox guidance, its scorer, and the training of its model."""

from __future__ import annotations

from dataclasses import dataclass

from df3d_diffusion.config import DistillationConfig, ViewWords

from df3d import option
from df3d.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class ToyboxConfig(DistillationConfig):
    """Score distillation on the embedded model."""

    words: ViewWords = option(ViewWords(), "nothing", deprecated="the toybox has its own word for each side")
    model: str = option("", "a model made by `df3d toybox train`; the shipped one when not given")


@dataclass(frozen=True, kw_only=True)
class ToyboxScorerConfig:
    """Scores against the world's own objects."""

    variations: int = option(
        4, "objects of each caption with random proportions, beside the one with the middle ones", low=0, high=100
    )
    within: float = option(0.05, "distance up to which a point counts as found for `f_score`, world units")

    def __post_init__(self) -> None:
        if not self.within > 0:
            raise ValueError("`within` must be more than 0")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How the embedded model is trained."""

    images: int = option(100_000, "training pictures in all", low=32, high=1_000_000_000)
    batch: int = option(32, "pictures a step", low=1, high=65_536)
    learning_rate: float = option(1e-3, "of Muon and AdamW, after the warm-up")
    warmup: int = option(150, "steps to reach it", low=0, high=1_000_000)
    cooldown: float = option(0.4, "share of the steps, at the end, in which it falls to zero")
    average: float = option(0.9995, "decay of the weight average that is shipped")
    drop_text: float = option(0.12, "share of pictures without their caption")
    drop_camera: float = option(0.35, "share of pictures without their camera")
    seed: int = option(0, "seed of every random draw", low=0, high=2**31 - 1)

    def __post_init__(self) -> None:
        if not 1 <= self.batch <= self.images:
            raise ConfigError("a batch must be at least 1 and at most the number of images", "change --batch or --images")

    @property
    def steps(self) -> int:
        return self.images // self.batch

    def rate(self, step: int) -> float:
        """Learning rate at a step."""
        return self.learning_rate * min(step / self.warmup, 1.0, (self.steps - step) / (self.cooldown * self.steps))
