"""Where training pictures come from: each source draws captioned objects from any side."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
import torch

from df3d.scene import cameras
from df3d.types import Cameras
from df3d_prior import colors, objects, raster
from df3d_prior.library import Library, by_noun, typical
from df3d_prior.objects import Object
from df3d_prior.words import Caption, Thing

ELEVATION = (-15.0, 75.0)  # of training cameras, degrees
NATURAL = 0.55  # share of things in their own colours
SINGLE, ON, WEARING, BESIDE = 0.76, 0.12, 0.05, 0.04  # shares of captions; the rest are two of a kind
HATS = ("hat", "helmet", "crown", "cap")


class Drawn(NamedTuple):
    """Training pictures, what they show, and from where."""

    images: np.ndarray  # (N, size, size, 3) sRGB in [0, 1]
    captions: list[Caption]
    azimuth: np.ndarray  # (N,) degrees
    elevation: np.ndarray  # (N,) degrees


class Source(Protocol):
    """Captioned objects to be drawn."""

    def draw(self, rng: np.random.Generator, count: int, size: int) -> Drawn:
        """Random objects from random sides; the same ones for the same state of `rng`."""


@dataclass(frozen=True)
class LibrarySource:
    """A library's objects: alone, painted, and put together. Nouns come equally often, the plainest object of each most often.

    `props` are things that come only beside, below or on top of others: the nouns that the starting model knew.
    """

    library: Library
    props: Library = field(default_factory=lambda: Library([], []))

    def draw(self, rng: np.random.Generator, count: int, size: int) -> Drawn:
        captions, things = zip(*(self._sample(rng) for _ in range(count)), strict=True)
        azimuth, elevation = random_angles(rng, count)
        images = raster.render(list(things), views_of(azimuth, elevation, size).pose.numpy(), size=size)
        return Drawn(images[..., :3], list(captions), azimuth, elevation)

    def _sample(self, rng: np.random.Generator) -> tuple[Caption, Object]:
        kind = rng.random()
        subject, thing = self._thing(rng, self._all)
        if kind < SINGLE:
            return Caption(subject), thing
        if kind < SINGLE + ON:
            other, base = self._second(rng, self._bases)
            return Caption(subject, "on", other), objects.joined("on", thing, base)
        if kind < SINGLE + ON + WEARING:
            other, hat = self._second(rng, self._hats)
            return Caption(subject, "wearing", other), objects.joined("wearing", thing, hat)
        if kind < SINGLE + ON + WEARING + BESIDE:
            other, second = self._second(rng, self._all)
            return Caption(subject, "beside", other), objects.joined("beside", thing, second)
        return Caption(subject, "two"), objects.joined("two", thing, thing)

    @cached_property
    def _all(self) -> list[list[int]]:
        """For each noun its objects, the plainest first."""
        entries = self.library.entries
        place = {entry.word: i for i, entry in enumerate(entries)}
        return [[place[entry.word] for entry in typical([entries[i] for i in found])] for found in by_noun(entries).values()]

    @cached_property
    def _bases(self) -> list[list[int]]:
        bases = self.library.bases()
        kept = [[i for i in noun if bases[i]] for noun in self._all]
        return [noun for noun in kept if noun] or self._all

    @cached_property
    def _hats(self) -> list[list[int]]:
        return [noun for noun in self._all if self.library.entries[noun[0]].noun in HATS] or self._all

    def _second(self, rng: np.random.Generator, nouns: list[list[int]]) -> tuple[Thing, Object]:
        """Of the library or, sometimes, a prop."""
        hats = nouns is self._hats
        props = [i for i, entry in enumerate(self.props.entries) if not hats or entry.noun in HATS]
        if props and rng.random() < (0.8 if hats else 0.2):
            i = props[rng.integers(len(props))]
            return self._painted(rng, self.props.entries[i].word, self.props.objects[i], NATURAL)
        return self._thing(rng, nouns)

    def _thing(self, rng: np.random.Generator, nouns: list[list[int]]) -> tuple[Thing, Object]:
        noun = nouns[rng.integers(len(nouns))]
        index = noun[min(int(rng.exponential(2.0)), len(noun) - 1)] if rng.random() < 0.7 else noun[rng.integers(len(noun))]
        entry = self.library.entries[index]
        return self._painted(rng, entry.word, self.library.objects[index], 0.25 if entry.colorless else NATURAL)

    def _painted(self, rng: np.random.Generator, word: str, one: Object, natural: float) -> tuple[Thing, Object]:
        if rng.random() < natural:
            return Thing(word), one
        color = colors.NAMES[rng.integers(len(colors.NAMES))]
        return Thing(word, color), one.painted(color)


def random_angles(rng: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Azimuths and elevations of training cameras, degrees."""
    return rng.uniform(-180, 180, count), rng.uniform(*ELEVATION, count)


def views_of(azimuth: np.ndarray, elevation: np.ndarray, size: int) -> Cameras:
    """The cameras of training pictures."""
    around, up = (torch.from_numpy(np.asarray(angles, np.float32)) for angles in (azimuth, elevation))
    full = torch.ones_like(around)
    return cameras.look_at(around, up, raster.DISTANCE * full, raster.FOV_Y * full, height=size, width=size)
