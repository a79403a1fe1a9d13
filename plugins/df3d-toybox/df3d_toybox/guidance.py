"""Score distillation on the shipped prior, that of the procedural world, or on another one."""

from __future__ import annotations

from dataclasses import replace

from df3d_prior.guidance import PriorDistillation
from df3d_prior.guidance import from_config as named

from df3d_toybox.config import ToyboxConfig
from df3d_toybox.prompts import FOLDER


def from_config(config: ToyboxConfig, *, device: str = "cpu") -> PriorDistillation:
    """The shipped prior, or the one that a configuration names."""
    return named(config if config.model else replace(config, model=str(FOLDER)), device=device)
