"""Options of the toybox guidance and its scorer."""

from __future__ import annotations

from dataclasses import dataclass

from df3d_diffusion.config import ViewWords
from df3d_prior.config import PriorConfig

from df3d import option


@dataclass(frozen=True, kw_only=True)
class ToyboxConfig(PriorConfig):
    """Score distillation on the shipped prior."""

    words: ViewWords = option(ViewWords(), "nothing", deprecated="the toybox has its own word for each side")
    model: str = option("", "folder of another prior, made by `df3d prior train`; the shipped one when not given")


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
