"""Options of the toybox guidance and scorer."""

from __future__ import annotations

from dataclasses import dataclass

from df3d_diffusion.config import DistillationConfig

from df3d.config import option


@dataclass(frozen=True, kw_only=True)
class ToyboxConfig(DistillationConfig):
    """Score distillation on the embedded model."""

    model: str = option("", "a model made by `df3d toybox train`; the shipped one when not given")


@dataclass(frozen=True, kw_only=True)
class ToyboxScorerConfig:
    """Scores against the world's own objects."""

    variations: int = option(4, "objects of each caption with random proportions, beside the one with the middle ones")
    within: float = option(0.05, "distance up to which a point counts as found for `f_score`, world units")

    def __post_init__(self) -> None:
        if self.variations < 0 or not self.within > 0:
            raise ValueError("`variations` must be at least 0 and `within` more than 0")
