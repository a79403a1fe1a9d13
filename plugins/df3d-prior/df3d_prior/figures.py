"""How well a prior draws what it was trained on, and what it knew before: its own samples, looked up among true pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from df3d_prior import raster
from df3d_prior.lesson import Lesson
from df3d_prior.objects import Object
from df3d_prior.sampling import Painter
from df3d_prior.sources import LibrarySource, views_of
from df3d_prior.words import Caption, Thing

AZIMUTHS, ELEVATION = (0.0, 90.0, 180.0, -90.0), 15.0
STEPS, MOST = 12, 24  # steps of a sample; objects of the library, and of what was known, that are looked at


def measure(folder: Path, lesson: Lesson, *, picture: Path | None = None, device: str = "cpu", seed: int = 0) -> dict[str, float]:
    """Sample objects from four sides and look each sample up among the true pictures of all of them, from all four.

    `learned`: share of the samples of the library whose nearest picture is of the right object from the right side, or of one
    that looks the same; `kept`: likewise, of the world's nouns. Either is left out where there are none. `picture` receives the
    samples, each object a row.
    """
    groups = {"learned": _library(lesson, seed), "kept": lesson.nouns[:MOST]}
    things = [thing for group in groups.values() for thing in group]
    truth = _pictures([one for _, one in things])
    azimuth = np.tile(AZIMUTHS, len(things))
    asked = [Caption(Thing(word)) for word, _ in things for _ in AZIMUTHS]
    samples = Painter(folder, device=device).draw(asked, azimuth, np.full_like(azimuth, ELEVATION), seed=seed, steps=STEPS)
    drawn = (samples.permute(0, 2, 3, 1) * 0.5 + 0.5).cpu().numpy()
    errors = np.array([((truth - one) ** 2).mean((1, 2, 3)) for one in drawn])
    same = np.array([((truth - one) ** 2).mean((1, 2, 3)) < 1e-4 for one in truth])  # a ball looks alike from all sides
    right = same[np.arange(len(drawn)), errors.argmin(1)]
    owner = np.repeat(np.arange(len(groups)), [len(AZIMUTHS) * len(group) for group in groups.values()])
    if picture is not None:
        _save(drawn, picture)
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


def _pictures(things: list[Object]) -> np.ndarray:
    """(N * 4, SIZE, SIZE, 3) of objects from the four sides, as in training."""
    azimuth = np.tile(AZIMUTHS, len(things))
    views = views_of(azimuth, np.full_like(azimuth, ELEVATION), 64)
    return raster.render([one for one in things for _ in AZIMUTHS], views.pose.numpy(), size=64)[..., :3]


def _save(drawn: np.ndarray, path: Path) -> None:
    sides, columns = len(AZIMUTHS), 4
    pixels = (drawn * 255).round().clip(0, 255).astype(np.uint8)
    rows = [np.concatenate(list(pixels[i : i + sides]), axis=1) for i in range(0, len(pixels), sides)]
    height = -(-len(rows) // columns)
    rows += [np.full_like(rows[0], 128)] * (columns * height - len(rows))
    sheet = [np.concatenate(rows[i * height : (i + 1) * height], axis=0) for i in range(columns)]
    Image.fromarray(np.concatenate(sheet, axis=1)).save(path)
