"""Put the shipped prior together from a training on the library of CC0 assets:

    python build.py LIBRARY TRAINED WORLD OUT

LIBRARY is the folder of meshes, TRAINED the `model` folder of `df3d prior train LIBRARY`, WORLD the prior of the procedural
world, OUT a new folder. `corrections.csv` beside this file holds nouns that its captions have wrong, by path; an object without
one is left out. Of the variants of a noun at most MOST are kept, those first that add a word to its captions.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from df3d_prior.lesson import props_of, shipped_origin
from df3d_prior.library import Entry, Library, by_noun, corrected, load, typical
from df3d_prior.prompts import WORLD
from df3d_prior.reading import Index
from df3d_prior.sketches import Sketched, Sketches

MOST = 10


def main(folder: Path, trained: Path, world: Path, out: Path) -> None:
    library = chosen(corrected(load(folder), Path(__file__).parent / "corrections.csv"))
    origin = shipped_origin()
    assert origin is not None
    props = props_of(origin)
    own = [one for one in Index.load(world).objects if one.own]
    shutil.copytree(trained, out)
    Index([*library.index().objects, *own, *props.index().objects]).save(out)
    words = [entry.word for entry in (*library.entries, *props.entries)]
    Sketches(dict(zip(words, Sketched.all([*library.objects, *props.objects]), strict=True))).save(out)
    shutil.copytree(world, out / WORLD)


def chosen(library: Library) -> Library:
    """The objects that are shipped, of those with their right nouns."""
    kept = []
    for indexes in by_noun(library.entries).values():
        kept += varied([(library.entries[i], i) for i in indexes])[:MOST]
    return Library([library.entries[i] for i in sorted(kept)], [library.objects[i] for i in sorted(kept)])


def varied(entries: list[tuple[Entry, int]]) -> list[int]:
    """Indexes of a noun's entries, those first whose caption adds a word."""
    place = {entry.word: i for entry, i in entries}
    told: set[str] = set()
    new, rest = [], []
    for entry in typical([entry for entry, _ in entries]):
        more = set(entry.details) - told
        (new if more or not told else rest).append(place[entry.word])
        told |= more
    return new + rest


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
