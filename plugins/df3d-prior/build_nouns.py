"""Write df3d_prior/nouns.bin, the table of concrete nouns, from WordNet 3.0's files: python build_nouns.py FOLDER.

WordNet is Princeton University's (https://wordnet.princeton.edu); its licence is beside the table. Kept are nouns of
physical things: lemmas, the senses in the order of their use, the kinds that each sense belongs to, and irregular plurals.
"""

from __future__ import annotations

import struct
import sys
import zlib
from collections import defaultdict
from itertools import accumulate
from pathlib import Path

ROOTS, LEFT_OUT = ("00001930", "09483738"), ("00029677",)  # physical entities and imaginary beings, without processes
SOLID = (5, 6, 13, 17, 20)  # lexicographer files: animals, artifacts, food, natural objects, plants
SENSES = 4  # of a word, that are kept
USED = 0.5  # share of a word's uses that must be of concrete senses


def main(folder: Path, out: Path) -> None:
    synsets: dict[str, tuple[list[str], list[tuple[str, str]], list[str]]] = {}  # offset: lemmas, keys, parents
    kinds: dict[str, int] = {}
    named: set[str] = set()
    for line in (folder / "data.noun").read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            continue
        cells = line.split(" | ")[0].split()
        offset, lexname, count = cells[0], cells[1], int(cells[3], 16)
        words = [(cells[4 + 2 * i].lower(), f"1:{lexname}:{int(cells[5 + 2 * i], 16):02d}") for i in range(count)]
        at = 4 + 2 * count
        pointers = [cells[at + 1 + 4 * i : at + 5 + 4 * i] for i in range(int(cells[at]))]
        if any(p[0] == "@i" for p in pointers):
            named.add(offset)
        synsets[offset] = ([w for w, _ in words], words, [p[1] for p in pointers if p[0] == "@"])
        kinds[offset] = int(lexname)
    uses: dict[tuple[str, str], int] = {}
    for line in (folder / "cntlist.rev").read_text(encoding="utf-8").splitlines():
        key, _, count_text = line.split()
        lemma, rest = key.split("%")
        uses[lemma, ":".join(rest.split(":")[:3])] = int(count_text)

    concrete = set(ROOTS)
    grew = True
    while grew:
        more = {
            o
            for o, (_, _, parents) in synsets.items()
            if o not in concrete and o not in LEFT_OUT and any(p in concrete for p in parents)
        }
        concrete |= more
        grew = bool(more)
    kept = sorted(concrete - named)
    number = {offset: i for i, offset in enumerate(kept)}

    lines = []
    for line in (folder / "index.noun").read_text(encoding="utf-8").splitlines():
        if line.startswith("  "):
            continue
        cells = line.split()
        lemma, senses = cells[0], cells[-int(cells[2]) :]
        if any(c.isdigit() for c in lemma) or lemma.count("_") > 3:
            continue
        counts = [uses.get((lemma, dict(synsets[s][1]).get(lemma, "")), 0) for s in senses]
        good = [i for i, s in enumerate(senses) if s in number][:SENSES]
        solid = any(i < 3 and kinds[senses[i]] in SOLID for i in good)
        seldom = sum(counts) > 0 and sum(counts[i] for i in good) < USED * sum(counts)
        if not good or (good[0] > 0 and not solid and seldom) or good[0] > 2:
            continue
        lines.append(f"{lemma.replace('_', ' ')}\t" + ",".join(f"{number[senses[i]]}:{i}" for i in good))
    used = {line.split("\t")[0] for line in lines}
    plurals = []
    for line in (folder / "noun.exc").read_text(encoding="utf-8").splitlines():
        plural, *singular = line.replace("_", " ").split() if "_" not in line else (line.split()[0], line.split()[-1])
        if singular and singular[0] in used and plural not in used:
            plurals.append(f"{plural}\t={singular[0]}")
    parents: dict[int, list[int]] = defaultdict(list)
    for offset in kept:
        parents[number[offset]] = [number[p] for p in synsets[offset][2] if p in number]
    flat = [p for i in range(len(kept)) for p in parents[i]]
    starts = list(accumulate((len(parents[i]) for i in range(len(kept))), initial=0))
    parts = [
        b"\n".join(sorted(line.encode() for line in lines + plurals)) + b"\n",
        struct.pack(f"<{len(flat)}H", *flat),
        struct.pack(f"<{len(starts)}I", *starts),
        bytes(kinds[offset] for offset in kept),
    ]
    out.write_bytes(zlib.compress(struct.pack("<4I", *map(len, parts)) + b"".join(parts), 9))
    print(f"{len(lines)} nouns, {len(kept)} senses, {out.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(__file__).parent / "df3d_prior" / "nouns.bin")
