"""The world as a source of training pictures for a prior."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from df3d_prior import words
from df3d_prior.lesson import Origin
from df3d_prior.objects import of_asset
from df3d_prior.prompts import index_of
from df3d_prior.sources import Drawn, random_angles, views_of

from df3d_toybox.captions import NOUN_NAMES, Caption, Thing
from df3d_toybox.prompts import FOLDER, WORLD
from df3d_toybox.world import render, scene
from df3d_toybox.world.mesh import asset_of


@dataclass(frozen=True)
class WorldSource:
    """The world's things, drawn exactly, in random proportions; each noun is a word.

    Each is drawn from `views` sides, side by side in the batch and 360 / views degrees apart. `fronts` says how many times as often
    it is seen from the quarter in front as from each of the three others.
    """

    views: int = 1
    fronts: float = 1.0

    def draw(self, rng: np.random.Generator, count: int, size: int) -> Drawn:
        things = count // self.views
        captions = [scene.sample_caption(rng) for _ in range(things)]
        scenes = [one for caption in captions for one in [render.pack(scene.build(caption, rng))] * self.views]
        azimuth, elevation = random_angles(rng, things)
        if self.fronts != 1.0:
            front = rng.random(things) < self.fronts / (self.fronts + 3)
            azimuth = np.where(front, azimuth / 4, 180 + 3 / 4 * azimuth)  # the quarter in front, and the three others
        azimuth = azimuth.repeat(self.views) + np.tile(np.arange(self.views) * 360.0 / self.views, things)
        elevation = elevation.repeat(self.views)
        images = render.render(scenes, views_of(azimuth, elevation, size).pose.numpy(), size=size)
        told = [_words(caption) for caption in captions for _ in range(self.views)]
        return Drawn(images[..., :3], told, azimuth, elevation)


def origin() -> Origin:
    """The shipped prior, the world, and a mesh of each of its nouns with the middle proportions."""
    nouns = tuple((noun, of_asset(asset_of(scene.build(Caption(Thing(noun)))))) for noun in NOUN_NAMES)
    return Origin(FOLDER, WorldSource(), index_of(WORLD), nouns)


def _words(caption: Caption) -> words.Caption:
    subject = words.Thing(caption.subject.noun, caption.subject.color)
    other = words.Thing(caption.other.noun, caption.other.color) if caption.other else None
    return words.Caption(subject, caption.relation, other)
