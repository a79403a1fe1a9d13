"""What the toybox says of a prompt before a run: refused, understood in part, or understood."""

from __future__ import annotations

from df3d.errors import PromptError
from df3d_toybox.captions import NOUN_NAMES, Reading, read

OPEN = "for any other object use a Stable Diffusion model: --recipe dreamfusion"


def check(text: str) -> list[str]:
    """Notes on a prompt.

    Raises PromptError when it names nothing that the toybox knows.
    """
    reading = read(text)
    if reading.caption is None:
        raise PromptError(f"the toybox model knows no object in `{text}`", f"{_suggestion(reading)}; {OPEN}")
    reasons = []
    if reading.unknown:
        reasons.append(f"does not know {_quoted(reading.unknown)}{_nearest(reading)}")
    if reading.left_out:
        room = "one object, or one on or wearing another, each of one colour"
        reasons.append(f"has room for {room}: it leaves out {_quoted(reading.left_out)}")
    if not reasons:
        return []
    return [f"the toybox model {', and '.join(reasons)}; it makes `{reading.caption}`; {OPEN}"]


def _quoted(words: tuple[str, ...]) -> str:
    return ", ".join(f"`{word}`" for word in words)


def _suggestion(reading: Reading) -> str:
    near = reading.nearest()
    if near:
        return "did you mean " + " or ".join(f"`{word}`" for word in near.values()) + "?"
    return f"it knows {', '.join(NOUN_NAMES)}"


def _nearest(reading: Reading) -> str:
    near = reading.nearest()
    return " (nearest: " + ", ".join(f"`{a}` for `{b}`" for b, a in near.items()) + ")" if near else ""
