"""What is asked for, and how it is worded for each view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from df3d.config import option
from df3d.errors import PromptError

View = Literal["front", "side", "back", "overhead"]
VIEWS: tuple[View, ...] = ("front", "side", "back", "overhead")
LONGEST = 1000  # characters


def same(text: str) -> str:
    """What a text is to somebody who minds neither case nor spaces."""
    return " ".join(text.split()).casefold()


@dataclass(frozen=True)
class Prompt:
    """A sentence, and what is not wanted."""

    text: str
    negative: str = ""

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise PromptError("the prompt is empty", 'say what to make: df3d generate "a red car"')
        if len(self.text) > LONGEST:
            raise PromptError(f"the prompt has {len(self.text)} characters", f"keep it under {LONGEST}")


@dataclass(frozen=True, kw_only=True)
class ViewConfig:
    """View-dependent prompting (DreamFusion, arXiv 2209.14988, section 3.2): which cameras see which view, in degrees."""

    enabled: bool = option(True, "add the view to the prompt")
    front: float = option(45.0, "azimuths up to this far from the front are a front view")
    back: float = option(45.0, "azimuths up to this far from the back are a back view")
    overhead: float = option(60.0, "elevations above this are an overhead view")

    def view(self, azimuth: float, elevation: float) -> View:
        """The view a camera has; azimuth 0 is the front."""
        away = abs((azimuth + 180.0) % 360.0 - 180.0)
        if elevation > self.overhead:
            return "overhead"
        return "front" if away <= self.front else "back" if away >= 180.0 - self.back else "side"


def for_view(text: str, view: View) -> str:
    """The usual wording: `a red car, side view`."""
    return f"{text}, {view} view"
