"""Score distillation on the shipped prior, that of the procedural world, or on another one."""

from __future__ import annotations

from df3d_prior.guidance import PriorDistillation, load_from
from df3d_prior.prompts import folder_of

from df3d_toybox.config import ToyboxConfig
from df3d_toybox.prompts import FOLDER


def from_config(config: ToyboxConfig, *, device: str = "cpu") -> PriorDistillation:
    """The shipped prior, or the one that a configuration names."""
    return load_from(folder_of(config) if config.model else FOLDER, config, device=device)
