"""How well the measure `library.janus` tells second heads on a library's animals and people: its ROC, and its threshold.

    python benchmarks/janus_library.py LIBRARY [--corrections CSV] [--seeds 1] [--things 1000]

Every object gets a second head: a quadruped at its other end, who stands upright at the back of the first. With it and without it
the object is made another one: longer or shorter along each axis by up to 15 %, turned by up to 8 degrees, tinted; and is judged by
itself as it was. Left out are heads that nobody sees at 32 x 32 pixels, as a second face under hair.
The threshold is that with the highest sum of sensitivity and specificity on the nouns of even places in the alphabet; all that is
printed of it is of the others. So is what it says of pictures that are blended with those of the second head.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from df3d_prior.faces import LEAST, janus, rings
from df3d_prior.library import Library, corrected, load
from df3d_prior.objects import Object, together
from df3d_prior.scorer import JANUS_RING, draw

NOUNS = frozenset(
    "alien alpaca apatosaurus astronaut barbarian bear blacksmith bull captain chicken cow deer dolphin donkey dragon dragonfly "
    "farmer fish fox frog horse husky king knight llama man pig pirate pug rat rattlesnake rogue shark sheep snake spider stag "
    "stegosaurus triceratops turkey tyrannosaurus vampire velociraptor wasp whale wolf woman zebra zombie".split()
)
BLENDS = (0.0, 0.25, 0.5, 0.75, 1.0)
ring = partial(draw, count=JANUS_RING)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", type=Path)
    parser.add_argument("--corrections", type=Path, help="path,noun: what the library's captions have wrong")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--things", type=int, default=1000, help="how many objects at most")
    options = parser.parse_args()
    library = load(options.library)
    if options.corrections:
        library = corrected(library, options.corrections)
    found, unseen = [], 0
    for noun, one in chosen(library)[: options.things]:
        for seed in range(options.seeds):
            case = judged(one, np.random.default_rng([seed, len(found)]))
            unseen += case is None
            found += [(noun, case)] if case is not None else []
    table(found, unseen)


def chosen(library: Library) -> list[tuple[str, Object]]:
    """Objects with a head, with their nouns."""
    return [(e.noun, one) for e, one in zip(library.entries, library.objects, strict=True) if e.noun in NOUNS]


def judged(one: Object, rng: np.random.Generator) -> list[float] | None:
    """`janus` of the object made another one, blended with the same with a second head by BLENDS; None where nobody sees that."""
    two = with_second_head(one, rng)
    pictures = ring([one, two])[..., :3]
    if ((pictures[0] - pictures[1]) ** 2).mean() < LEAST:
        return None
    seed = int(rng.integers(2**31))
    single, double = ring([made_another(each, np.random.default_rng(seed)) for each in (one, two)])
    again = ring([made_another(two, rng)])[0]  # whose proportions are its own
    known = rings(one, ring)
    return [janus((1 - share) * single + share * double, known) for share in BLENDS[:-1]] + [janus(again, known)]


def with_second_head(one: Object, rng: np.random.Generator) -> Object:
    low, high = one.bounds()
    size, centers = high - low, one.corners.mean(1)
    angle = 180 + rng.uniform(-20, 20)
    if size[2] > 0.9 * size[1]:
        head = one.part((centers[:, 2] > low[2] + 0.68 * size[2]) & (centers[:, 1] > low[1] + 0.3 * size[1]))
        middle, scale = head.corners.reshape(-1, 3).mean(0), rng.uniform(0.85, 1.15)
        head = head.moved(scale, (1 - scale) * middle)
        return together(one, head.turned(angle, 0.5 * (low + high)))
    head = centers[:, 1] > low[1] + 0.7 * size[1]
    points = one.corners[head].reshape(-1, 3)
    middle = 0.5 * (points.min(0) + points.max(0))
    behind = head & (centers[:, 2] < middle[2])
    return together(one.part(~behind), one.part(head & ~behind).turned(angle, middle))


def made_another(one: Object, rng: np.random.Generator) -> Object:
    stretch, tint = rng.uniform(0.87, 1.15, 3), rng.uniform(0.85, 1.1, 3)
    tinted = replace(one, paint=(one.paint * tint).clip(0, 1).astype(np.float32))
    return tinted.moved(stretch, np.zeros(3)).turned(rng.uniform(-8, 8), np.zeros(3)).fitted()


def table(found: list[tuple[str, list[float]]], unseen: int) -> None:
    nouns = sorted({noun for noun, _ in found})
    known, new = (np.array([case for noun, case in found if nouns.index(noun) % 2 == half]) for half in (0, 1))
    one, two = new[:, 0], new[:, -1]
    area = (two[:, None] > one).mean() + 0.5 * (two[:, None] == one).mean()
    levels = np.unique(known)
    best = levels[np.argmax([(known[:, -1] > level).mean() - (known[:, 0] > level).mean() for level in levels])]
    print(f"{len(known)} objects of {(len(nouns) + 1) // 2} nouns for the threshold: {best:.3f}; {unseen} heads not seen")
    print(f"{len(new)} objects of {len(nouns) // 2} other nouns: area under the ROC curve {area:.3f}")
    for level in (best, 0.5):
        print(f"above {level:.3f}: {(one > level).mean():.2f} of those with one head, {(two > level).mean():.2f} of those with two")
    for share, values in zip(BLENDS[:-1], new[:, :-1].T, strict=True):
        print(f"blended with the second head by {share:.2f}: median {np.median(values):.2f}, above {(values > best).mean():.2f}")


if __name__ == "__main__":
    main()
