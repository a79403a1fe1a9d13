"""What a prompt is retrieved among: captions of all kinds, and its own altered in one thing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache

import numpy as np

from df3d_toybox.captions import COLOR_NAMES, NOUN_NAMES, Caption, Thing
from df3d_toybox.references import reference_pictures
from df3d_toybox.world import scene
from df3d_toybox.world.nouns import NOUNS

Look = tuple[str, str]
TURNS = (2, 4, 6)  # of eight views: a quarter, a half and three quarters around


@cache
def candidates(seeds: tuple[int | None, ...]) -> tuple[list[Look], np.ndarray]:
    """Looks of the captions that prompts are retrieved among, and pictures (captions, seeds, VIEWS, 32, 32, 4) of each.

    Every noun in its own colour and three others, and each on one thing or wearing a hat: more than a hundred.
    """
    captions = []
    for i, noun in enumerate(NOUN_NAMES):
        colors = [None, *(COLOR_NAMES[(3 * i + 4 * k) % len(COLOR_NAMES)] for k in range(3))]
        captions += [Caption(Thing(noun, color)) for color in colors]
        support = scene.SUPPORTS[i % len(scene.SUPPORTS)]
        captions.append(Caption(Thing(noun), "on", Thing(support)))
        if noun in scene.WEARERS:
            captions.append(Caption(Thing(noun), "wearing", Thing("hat")))
    unique = {look(caption): caption for caption in reversed(captions)}  # "a red car" and "a car" are one thing: cars are red
    drawn = [[reference_pictures(caption, seed) for seed in seeds] for caption in unique.values()]
    return list(unique), np.array(drawn, np.float32)


def altered(caption: Caption, seeds: tuple[int | None, ...]) -> tuple[list[str], np.ndarray]:
    """What a caption is not, with one thing changed, and pictures (captions, seeds, VIEWS, 32, 32, 4) of each.

    Another colour of either thing, another noun in its colour, what it stands on or wears taken away or made the whole, and, where
    it has a front, the same seen from the side and from behind.
    """
    found = {look(other): (what, other) for what, other in _changed(caption) if look(other) != look(caption)}
    drawn = [[reference_pictures(other, seed) for seed in seeds] for _, other in found.values()]
    names = [what for what, _ in found.values()]
    if NOUNS[caption.subject.noun].front:
        own = np.array([reference_pictures(caption, seed) for seed in seeds])
        drawn += [list(np.roll(own, turn, axis=1)) for turn in TURNS]
        names += ["facing"] * len(TURNS)
    return names, np.array(drawn, np.float32)


def _changed(caption: Caption) -> Iterator[tuple[str, Caption]]:
    subject, other = caption.subject, caption.other
    natural = NOUNS[subject.noun].natural
    for color in COLOR_NAMES:
        yield "colour", replace(caption, subject=replace(subject, color=color))
        if other is not None:
            yield "colour", replace(caption, other=replace(other, color=color))
    for noun in NOUN_NAMES:
        yield "shape", replace(caption, subject=Thing(noun, subject.color or natural))
    if other is not None:
        yield "parts", Caption(subject)
        yield "parts", Caption(other)
    elif subject.noun in scene.WEARERS:
        yield "parts", Caption(subject, "wearing", Thing("hat"))


def look(caption: Caption) -> Look:
    """Captions with the same look are the same candidate."""

    def full(thing: Thing | None) -> str:
        return "" if thing is None else f"{thing.color or NOUNS[thing.noun].natural} {thing.noun}"

    return full(caption.subject), f"{caption.relation} {full(caption.other)}"
