"""Options of the toybox guidance."""

from __future__ import annotations

from dataclasses import dataclass

from df3d_diffusion.config import DistillationConfig

from df3d.config import option


@dataclass(frozen=True, kw_only=True)
class ToyboxConfig(DistillationConfig):
    """Score distillation on the embedded model."""

    model: str = option("", "a model made by `df3d toybox train`; the shipped one when not given")
