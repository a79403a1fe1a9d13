"""The words that the model reads: what a caption says of one or two things, in six slots. Imports nothing heavy.

A noun of the procedural world is a word. An object of a library has none: what stands in its slot is `THING`, and what it looks
like from each of `DIRECTIONS` goes to the model as a small picture (`sketches`).
"""

from __future__ import annotations

from dataclasses import dataclass

VIEWS = ("front", "side", "back", "overhead")
RELATIONS = ("on", "wearing", "beside", "two")
BLANK = "_"  # fills a slot that says nothing
SLOTS = 6  # colour, object, relation, colour, object, view
EMPTY = " ".join([BLANK] * SLOTS)
# Elevation of each ring of directions, degrees, and how many there are, evenly from the front.
RINGS = ((0.0, 12), (30.0, 12), (60.0, 8))
DIRECTIONS = [(360.0 * i / count, elevation) for elevation, count in RINGS for i in range(count)]  # azimuth and elevation
THING = "thing"
WORLD = "/world"  # ends the words of the world's nouns as objects with sketches


def mixture(azimuth: float, elevation: float) -> list[tuple[int, float]]:
    """Directions around a camera's, in degrees, with weights that sum to 1: bilinear, those of the rings beyond them."""
    found, first = [], 0
    for share, (_, count) in zip(_ring_shares(elevation), RINGS, strict=True):
        place = (azimuth % 360.0) * count / 360.0
        at = int(place)
        found += [(first + at % count, share * (1.0 - place + at)), (first + (at + 1) % count, share * (place - at))]
        first += count
    return [(direction, weight) for direction, weight in found if weight > 0]


def _ring_shares(elevation: float) -> list[float]:
    """How much of each ring is seen from an elevation: linear between two, all of the outermost beyond it."""
    heights = [height for height, _ in RINGS]
    shares = [0.0] * len(heights)
    above = next((i for i, height in enumerate(heights) if height >= elevation), len(heights) - 1)
    below = max(above - 1, 0) if elevation < heights[above] else above
    up = 1.0 if above == below else (elevation - heights[below]) / (heights[above] - heights[below])
    shares[below] += 1.0 - up
    shares[above] += up
    return shares


@dataclass(frozen=True)
class Thing:
    """One of the model's objects, by its word, and its colour; None is its own colours."""

    word: str  # a noun of the procedural world, or noun/number of an object of a library
    color: str | None = None

    @property
    def sketched(self) -> bool:
        """Whether it is an object of a library."""
        return "/" in self.word

    @property
    def spoken(self) -> str:
        """What the text encoder reads in its place."""
        return THING if self.sketched else self.word


@dataclass(frozen=True)
class Caption:
    """A thing, perhaps on, wearing or beside another, or twice."""

    subject: Thing
    relation: str | None = None
    other: Thing | None = None

    @property
    def sketched(self) -> bool:
        """Whether one of its things is an object of a library."""
        return self.subject.sketched or (self.other is not None and self.other.sketched)

    def canonical(self, view: str | None = None) -> str:
        """The six words the text encoder reads, e.g. `red dog on blue thing front`."""
        other = self.other or Thing(BLANK)
        slots = (self.subject.color, self.subject.spoken, self.relation, other.color, other.spoken, view)
        return " ".join(word or BLANK for word in slots)
