"""Options of the prior: its guidance and its training."""

from __future__ import annotations

from dataclasses import dataclass

from df3d_diffusion.config import DistillationConfig

from df3d import option
from df3d.errors import ConfigError


@dataclass(frozen=True, kw_only=True)
class PriorConfig(DistillationConfig):
    """Score distillation on a small prior with its own reading of the prompt."""

    model: str = option("", "folder of a prior, made by `df3d prior train`")


@dataclass(frozen=True, kw_only=True)
class LibraryScorerConfig:
    """Scores against a library's objects."""

    folder: str = option("", "the library: a folder of meshes with its captions.csv")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a prior is trained."""

    images: int = option(100_000, "training pictures in all", low=32, high=1_000_000_000)
    batch: int = option(32, "pictures a step", low=1, high=65_536)
    small: float = option(
        0.0, "share of the steps, at the beginning, with pictures of half the size: four times as many a second", low=0.0, high=1.0
    )
    known: float = option(0.25, "share of pictures of what the starting model knew", low=0.0, high=1.0)
    memories: int = option(
        256, "pictures that the starting model draws of objects whose meshes are not here", low=0, high=1_000_000
    )
    learning_rate: float = option(1e-3, "of Muon and AdamW, after the warm-up")
    warmup: int = option(150, "steps to reach it", low=0, high=1_000_000)
    cooldown: float = option(0.4, "share of the steps, at the end, in which it falls to zero")
    average: float = option(0.9995, "decay of the weight average that is kept")
    drop_text: float = option(0.08, "share of pictures without their caption")
    drop_camera: float = option(0.1, "share of pictures without their camera")
    seed: int = option(0, "seed of every random draw", low=0, high=2**31 - 1)

    def __post_init__(self) -> None:
        if not 1 <= self.batch <= self.images:
            raise ConfigError("a batch must be at least 1 and at most the number of images", "change --batch or --images")

    @property
    def steps(self) -> int:
        return self.images // self.batch

    def rate(self, step: int) -> float:
        """Learning rate at a step."""
        return self.learning_rate * min(step / max(self.warmup, 1), 1.0, (self.steps - step) / (self.cooldown * self.steps))

    def halved(self, step: int) -> bool:
        """Whether a step's pictures have half the size."""
        return step < self.small * self.steps
