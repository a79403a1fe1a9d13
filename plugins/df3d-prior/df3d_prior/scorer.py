"""The scorer `library`: an asset against a library's own objects. No learned model has a say in it.

All are drawn alike (the camera, light and background of training pictures, at 32 x 32) from 8 sides. Where a prompt names a
colour, the library's objects are painted in it first, so that colour alone finds no noun.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np

from df3d.errors import ConfigError, PromptError
from df3d.protocols import Subject
from df3d.scene.cameras import orbit
from df3d.types import Cameras
from df3d_prior import objects, raster
from df3d_prior.config import LibraryScorerConfig
from df3d_prior.faces import janus, rings
from df3d_prior.library import Library, load
from df3d_prior.likeness import color_error, faces_met, silhouette_iou
from df3d_prior.objects import Object
from df3d_prior.reading import Reading

VIEWS, RING, JANUS_RING, ELEVATION, SIZE = 8, 24, 12, 15.0, 32
PLAIN = 0.004  # mean squared error up to which the sides of an object look alike: it has no front


class LibraryScorer:
    """Measures, all between 0 and 1 unless it says otherwise:

    - `top1`, `top5`: whether the prompt's noun is the first, or among the first five, of all nouns of the library, by the mean
      squared error of the 8 pictures to the nearest object of each; `rank`, from 1.
    - `top1_others`, `top5_others`: the same without the object that is nearest, and its variants, which a prior may have seen:
      what an object of the noun that is not in the library could reach. Only where the noun has others.
    - `iou`: intersection over union of the silhouettes with the nearest object of the noun, a mean over the views.
    - `color_error`: mean absolute difference of the colours where both are seen.
    - `facing`: whether the asset is nearer to that object than when it is turned by a quarter, a half or three quarters.
    - `faces`: how many faces somebody meets who walks around it once. These two only of objects whose sides differ.
    - `janus`: how much it is like that object with several faces (`faces.janus`). Above 0.32 it is worth a look, above 0.5 it is
      nearer to several than to one.
    """

    def __init__(self, config: LibraryScorerConfig, *, device: str = "cpu") -> None:
        if not config.folder:
            raise ConfigError("the scorer `library` needs a library", "give its folder: --set library.folder=FOLDER")
        self.library = _library(Path(config.folder))
        self.index = self.library.index()

    def score(self, subject: Subject) -> dict[str, float]:
        if not subject.prompt:
            raise PromptError("there is no prompt to score against", "give one with --prompt or --prompts")
        reading = self.index.read(subject.prompt)
        if not reading.things:
            raise PromptError(f"the library has no object of the prompt `{subject.prompt}`", "it scores prompts that it knows")
        images = subject.draw(around(VIEWS), background=raster.BACKGROUND, ambient=raster.AMBIENT).numpy()
        ring = subject.draw(around(RING), background=raster.BACKGROUND, ambient=raster.AMBIENT).numpy()
        return judge(images, ring, reading, self.candidates(reading))

    def candidates(self, reading: Reading) -> Candidates:
        """What a prompt is retrieved among: every object of the library in the place of its first thing."""
        place = {entry.word: i for i, entry in enumerate(self.library.entries)}
        color = reading.things[0].color or (reading.things[0].known.colors[0] if reading.colored else None)
        other = None
        if len(reading.things) > 1:
            second = reading.things[1]
            other = self.library.objects[place[second.known.word]]
            other = other.painted(second.color) if second.color else other
        return _candidates(self.library, color, reading.relation, other)


@dataclass(frozen=True)
class Candidates:
    """N objects, each made when it is asked for, with their nouns, groups and pictures (N, VIEWS, SIZE, SIZE, 4)."""

    object_at: Callable[[int], Object]
    nouns: np.ndarray
    groups: np.ndarray
    pictures: np.ndarray


def judge(images: np.ndarray, ring: np.ndarray | None, reading: Reading, candidates: Candidates) -> dict[str, float]:
    """The measures of an asset, of its pictures (VIEWS, SIZE, SIZE, 4) and (RING, SIZE, SIZE, 4); without a ring none of faces."""
    noun = reading.things[0].noun
    errors = ((candidates.pictures[..., :3] - images[..., :3]) ** 2).mean((1, 2, 3, 4))
    rank = noun_rank(errors, candidates.nouns, noun)
    found = {"rank": float(rank), "top1": float(rank == 1), "top5": float(rank <= 5)}
    own = np.flatnonzero(candidates.nouns == noun)
    nearest = int(own[errors[own].argmin()])
    others = candidates.groups != candidates.groups[nearest]
    if (others & (candidates.nouns == noun)).any():
        rank = noun_rank(errors[others], candidates.nouns[others], noun)
        found |= {"top1_others": float(rank == 1), "top5_others": float(rank <= 5)}
    pictures = candidates.pictures[nearest]
    found["iou"] = silhouette_iou(images[..., 3], pictures[..., 3])
    found["color_error"] = color_error(images, pictures)
    right = candidates.object_at(nearest)
    sides = draw([right], RING)[0]
    if ((sides[RING // 4 : -RING // 4 + 1, ..., :3] - sides[0, ..., :3]) ** 2).mean((1, 2, 3)).min() > PLAIN:
        turned = [float(((np.roll(images, k, axis=0) - pictures)[..., :3] ** 2).mean()) for k in (0, 2, 4, 6)]
        found["facing"] = float(min(turned) == turned[0])
        if ring is not None:
            found["faces"] = faces_met(ring, sides[None])
    if ring is not None:
        found["janus"] = janus(ring[:: RING // JANUS_RING], rings(right, partial(draw, count=JANUS_RING)))
    return found


def noun_rank(errors: np.ndarray, nouns: np.ndarray, noun: str) -> int:
    """The place of a noun among all, from 1, by the least error (N,) of its objects."""
    right = errors[nouns == noun].min()
    return 1 + len(set(nouns[errors < right].tolist()) - {noun})


def around(count: int) -> Cameras:
    """The camera of training pictures, from all around, the first from the front."""
    return orbit(count, elevation=ELEVATION, distance=raster.DISTANCE, fov_y=raster.FOV_Y, size=SIZE)


def draw(things: list[Object], count: int) -> np.ndarray:
    """(N, count, SIZE, SIZE, 4) pictures of objects from around."""
    return raster.render_each(things, around(count).pose.numpy(), size=SIZE, samples=4)


@cache
def _library(folder: Path) -> Library:
    return load(folder)


_KEPT: dict[tuple[int, str | None], Candidates] = {}
MOST_KEPT = 4  # of them; those of 2,700 objects take 0.35 GB


def _candidates(library: Library, color: str | None, relation: str | None, other: Object | None) -> Candidates:
    key = (id(library), color)
    if relation is None and key in _KEPT:
        return _KEPT[key]

    def object_at(i: int) -> Object:
        one = library.objects[i].painted(color) if color else library.objects[i]
        return objects.joined(relation, one, other or one) if relation is not None else one

    count = len(library.objects)
    pictures = [draw([object_at(i) for i in range(first, min(first + 64, count))], VIEWS) for first in range(0, count, 64)]
    nouns, groups = (np.array([getattr(entry, name) for entry in library.entries]) for name in ("noun", "group"))
    found = Candidates(object_at, nouns, groups, np.concatenate(pictures))
    if relation is None:
        if len(_KEPT) == MOST_KEPT:
            del _KEPT[next(iter(_KEPT))]
        _KEPT[key] = found
    return found
