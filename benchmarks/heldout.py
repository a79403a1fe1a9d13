"""Prompts that nothing was tuned on: drawn from a seed that is given at the call.

    python benchmarks/heldout.py --seed 7 [--count 20]

Nouns, colours, pairs and wordings are drawn at random; what is one of the fixed fifty, or shows what one of these shows, is drawn
again. `python benchmarks/toybox.py --held-out 7` makes and scores them.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

import numpy as np
from df3d_toybox.candidates import look
from df3d_toybox.captions import NOUN_NAMES, Caption, Thing, read
from df3d_toybox.world import scene

WORDINGS = ("{}", "a photo of {}", "a 3d model of {}", "{}, highly detailed", "a single {bare}", "a cute little {bare}")
RIDES = ("on", "sitting on", "on top of", "standing on")


def prompts(seed: int, count: int, known: Iterable[str] = ()) -> list[str]:
    """`count` prompts that show what none of the `known` prompts shows, and no two the same."""
    rng = np.random.default_rng(seed)
    seen = {look(caption) for prompt in known if (caption := read(prompt).caption)}
    found: list[str] = []
    while len(found) < count:
        caption = scene.sample_caption(rng)
        if caption.other is None and rng.random() < 0.3:  # a pair that training draws seldom
            caption = Caption(caption.subject, "on", Thing(str(rng.choice(NOUN_NAMES))))
        if look(caption) not in seen:
            seen.add(look(caption))
            found.append(worded(caption, rng))
    return found


def worded(caption: Caption, rng: np.random.Generator) -> str:
    """The caption as somebody may type it."""
    text = str(caption)
    if caption.relation == "on":
        text = text.replace(" on ", f" {rng.choice(RIDES)} ", 1)
    words = str(rng.choice(WORDINGS)).format(text, bare=text.split(" ", 1)[1])
    return words if read(words).caption == caption else text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--count", type=int, default=20)
    options = parser.parse_args()
    from toybox import PROMPTS

    print(*prompts(options.seed, options.count, PROMPTS), sep="\n")


if __name__ == "__main__":
    main()
