"""How well a prior draws what it was trained on, and what it knew before: its own samples, looked up among true pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from df3d_prior import sides
from df3d_prior.lesson import Lesson
from df3d_prior.model import SIZE
from df3d_prior.objects import Object
from df3d_prior.sampling import Painter
from df3d_prior.sources import LibrarySource
from df3d_prior.words import Caption, Thing

STEPS, MOST = 12, 24  # steps of a sample; objects of the library, and of what was known, that are looked at


def measure(folder: Path, lesson: Lesson, *, picture: Path | None = None, device: str = "cpu", seed: int = 0) -> dict[str, float]:
    """Sample objects from four sides and look each sample up among the true pictures of all of them, from all four.

    `learned`: share of the samples of the library whose nearest picture is of the right object from the right side, or of one
    that looks the same; `kept`: likewise, of the world's nouns. Either is left out where there are none. `picture` receives the
    samples, each object a row.
    """
    groups = {"learned": _library(lesson, seed), "kept": lesson.nouns[:MOST]}
    things = [thing for group in groups.values() for thing in group]
    truth = sides.pictures([one for _, one in things], SIZE).reshape(-1, SIZE, SIZE, 3)
    asked = [Caption(Thing(word)) for word, _ in things for _ in sides.AZIMUTHS]
    samples = Painter(folder, device=device).draw(asked, *sides.angles(len(things)), seed=seed, steps=STEPS)
    drawn = (samples.permute(0, 2, 3, 1) * 0.5 + 0.5).cpu().numpy()
    errors = np.array([((truth - one) ** 2).mean((1, 2, 3)) for one in drawn])
    same = np.array([((truth - one) ** 2).mean((1, 2, 3)) < 1e-4 for one in truth])  # a ball looks alike from all sides
    right = same[np.arange(len(drawn)), errors.argmin(1)]
    owner = np.repeat(np.arange(len(groups)), [len(sides.AZIMUTHS) * len(group) for group in groups.values()])
    if picture is not None:
        Image.fromarray(sides.sheet(drawn, columns=4)).save(picture)
    return {name: float(right[owner == i].mean()) for i, name in enumerate(groups) if groups[name]}


def _library(lesson: Lesson, seed: int) -> list[tuple[str, Object]]:
    """Some of the library's objects, with their words."""
    found = []
    for source in lesson.mix.sources:
        if isinstance(source, LibrarySource):
            library = source.library
            chosen = np.random.default_rng(seed).permutation(len(library.entries))[:MOST]
            found += [(library.entries[i].word, library.objects[i]) for i in chosen]
    return found
