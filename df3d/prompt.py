"""What is asked for: a text, what is not wanted, pictures, and a mesh to start from; and the wording for each view."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from df3d.errors import PromptError

View = Literal["front", "side", "back", "overhead"]
VIEWS: tuple[View, ...] = ("front", "side", "back", "overhead")
LONGEST = 1000  # characters


def normalised(text: str) -> str:
    """A text without the differences that nobody minds: those of case and of spaces."""
    return " ".join(text.split()).casefold()


@dataclass(frozen=True)
class Picture:
    """A picture of what is wanted, and the camera that saw it, where that is known. `df3d.system.images.pixels` reads it.

    Azimuth and elevation are degrees, azimuth 0 is the front.
    """

    path: Path
    azimuth: float | None = None
    elevation: float | None = None

    def __post_init__(self) -> None:
        if (self.azimuth is None) != (self.elevation is None):
            raise PromptError(f"picture `{self.path}` has half a camera", "give azimuth and elevation, or neither")
        if self.elevation is not None and not -90 <= self.elevation <= 90:
            raise PromptError(f"the elevation of picture `{self.path}` is {self.elevation:g}", "give degrees between -90 and 90")
        if self.azimuth is not None and not -360 <= self.azimuth <= 360:
            raise PromptError(f"the azimuth of picture `{self.path}` is {self.azimuth:g}", "give degrees between -360 and 360")


@dataclass(frozen=True)
class Prompt:
    """A text, what is not wanted, pictures of what is, and a mesh file to start from."""

    text: str
    negative: str = ""
    pictures: tuple[Picture, ...] = ()
    mesh: Path | None = None

    def __post_init__(self) -> None:
        if not self.text.strip():
            raise PromptError("the prompt is empty", 'say what to make: df3d generate "a red car"')
        if len(self.text) > LONGEST:
            raise PromptError(f"the prompt has {len(self.text)} characters", f"keep it under {LONGEST}")

    @property
    def offers(self) -> frozenset[str]:
        """What it holds beside its text: "negative", "image", "mesh"."""
        held = {"negative": self.negative.strip(), "image": self.pictures, "mesh": self.mesh}
        return frozenset(name for name, value in held.items() if value)

    def record(self) -> dict[str, Any]:
        """What the prompt is, for a run's manifest; files by path and SHA-256.

        Raises PromptError when one of them cannot be read.
        """
        found: dict[str, Any] = {"prompt": self.text, "negative": self.negative}
        if self.pictures:
            found["pictures"] = [
                {"path": str(one.path), "azimuth": one.azimuth, "elevation": one.elevation, "sha256": _digest(one.path)}
                for one in self.pictures
            ]
        if self.mesh:
            found["mesh"] = {"path": str(self.mesh), "sha256": _digest(self.mesh)}
        return found


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise PromptError(f"`{path}` cannot be read: {error.strerror}", "check the path") from None


def for_view(text: str, view: View) -> str:
    """The usual wording: `a red car, side view`."""
    return f"{text}, {view} view"
