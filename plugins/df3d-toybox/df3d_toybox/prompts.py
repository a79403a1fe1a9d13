"""What the toybox says of a prompt before a run: refused, understood in part, or understood. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from df3d_prior.prompts import check as check_named
from df3d_prior.prompts import world_of

from df3d_toybox.config import ToyboxConfig

FOLDER = Path(__file__).parent / "weights"  # the shipped prior, of a library of game assets
WORLD = world_of(FOLDER)  # that of the procedural world, within it


def check(text: str, config: ToyboxConfig) -> list[str]:
    """Notes on a prompt.

    Raises PromptError when it names nothing that could be made.
    """
    return check_named(text, config if config.model else replace(config, model=str(FOLDER)))
