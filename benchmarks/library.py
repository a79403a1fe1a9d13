"""A hundred prompts over a library's nouns, made with a prior that was trained on it, and judged by its own objects.

    python benchmarks/library.py LIBRARY --prior PRIOR [--corrections CSV] [--prompts 20] [--out library-benchmark] [--samples]

Makes what is not there yet, a worker a core, and scores it with the scorer `library`; `--samples` scores pictures that the prior
itself draws of each prompt too, so that one sees what the prior loses and what the distillation loses. The ceiling is that of the
library's objects, each judged without its own group. `--corrections` names a table of the nouns that the library has wrong, as
plugins/df3d-toybox/library/corrections.csv, without which some prompts are judged against the wrong objects. Prints the table, and
keeps a row a prompt in library.csv. A prompt that the prior refuses has no row.
"""

from __future__ import annotations

import argparse
import csv
from pathlib import Path

import numpy as np
from df3d_prior.config import LibraryScorerConfig
from df3d_prior.library import corrected
from df3d_prior.reading import Reading
from df3d_prior.sampling import Painter
from df3d_prior.scorer import ELEVATION, SIZE, VIEWS, LibraryScorer, judge, noun_rank

import df3d
from df3d.evaluation.subject import TargetSubject
from df3d.evaluation.targets import Target
from df3d.plugin.catalog import Catalog

PROMPTS = Path(__file__).parent / "library_prompts.txt"
MEASURES = ("top1", "top5", "top1_others", "top5_others", "iou", "color_error", "facing", "faces", "janus")
Row = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("library", type=Path)
    parser.add_argument("--corrections", type=Path, help="path,noun: an object without a noun is left out")
    parser.add_argument("--prompts", type=int, default=100, help="how many of the list, evenly from all of it")
    parser.add_argument("--out", type=Path, default=Path("library-benchmark"))
    parser.add_argument("--samples", action="store_true", help="judge pictures that the prior draws, too")
    parser.add_argument("--only-samples", action="store_true", help="make no assets")
    parser.add_argument("--prior", type=Path, required=True, help="the folder of a prior that was trained on the library")
    options = parser.parse_args()
    everything = PROMPTS.read_text(encoding="utf-8").split("\n")[:-1]
    listed = [everything[i] for i in np.linspace(0, len(everything) - 1, options.prompts).round().astype(int)]
    options.out.mkdir(parents=True, exist_ok=True)
    scorer, painter = LibraryScorer(LibraryScorerConfig(folder=str(options.library))), Painter(options.prior)
    if options.corrections:
        scorer.library = corrected(scorer.library, options.corrections)
        scorer.index = scorer.library.index()
    prompts = [prompt for prompt in listed if painter.index.read(prompt).caption]
    found: dict[str, list[Row]] = {}
    if options.samples or options.only_samples:
        found["samples of the prior"] = [kept(options.out, "sample", p, lambda p=p: sample(p, painter, scorer)) for p in prompts]
    if not options.only_samples:
        assets = made(prompts, options)
        found["finished assets"] = [kept(options.out, "asset", p, lambda p=p: judged(p, assets[p], scorer)) for p in prompts]
    table(found, ceiling(scorer, prompts))
    print("refused: " + (", ".join(prompt for prompt in listed if prompt not in prompts) or "none"))


def kept(out: Path, kind: str, prompt: str, make) -> Row:  # type: ignore[no-untyped-def]
    """The row of a prompt, from library.csv where it is there."""
    path = out / "library.csv"
    rows = list(csv.DictReader(path.open(encoding="utf-8"))) if path.is_file() else []
    for row in rows:
        if (row["kind"], row["prompt"]) == (kind, prompt):
            return {name: float(row[name]) for name in MEASURES if row[name]}
    found: Row = make()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ("kind", "prompt", *MEASURES), extrasaction="ignore", lineterminator="\n")
        if not rows:
            writer.writeheader()
        writer.writerow({"kind": kind, "prompt": prompt} | found)
    print(f"{kind}: {prompt}: " + "  ".join(f"{name} {found[name]:.3g}" for name in MEASURES if name in found), flush=True)
    return found


def made(prompts: list[str], options: argparse.Namespace) -> dict[str, Path]:
    """The asset of each prompt, made where it is not there."""
    settings = {"guidance.model": str(options.prior.absolute())}
    runs = df3d.batch(prompts, out=options.out / "assets", recipe="toybox", set=settings, device="cpu", workers=0)
    return {run.prompt: run.asset for run in runs if run.asset}


def judged(prompt: str, asset: Path, scorer: LibraryScorer) -> Row:
    """Score a finished asset."""
    return scorer.score(TargetSubject(Target(asset, prompt), Catalog.discover()))


def sample(prompt: str, painter: Painter, scorer: LibraryScorer) -> Row:
    """Score pictures that the prior draws of a prompt from around, the measures of all sides left out."""
    caption, reading = painter.index.read(prompt).caption, scorer.index.read(prompt)
    assert caption is not None
    azimuth = np.arange(VIEWS) * 360.0 / VIEWS
    drawn = painter.draw([caption] * VIEWS, azimuth, np.full(VIEWS, ELEVATION)).permute(0, 2, 3, 1).numpy() * 0.5 + 0.5
    small = drawn.reshape(VIEWS, SIZE, 2, SIZE, 2, 3).mean((2, 4))
    coverage = (np.abs(small - 0.5).max(-1, keepdims=True) > 0.06).astype(np.float32)
    images = np.concatenate([small, coverage], axis=-1)
    return judge(images, None, reading, scorer.candidates(reading))


def ceiling(scorer: LibraryScorer, prompts: list[str]) -> Row:
    """How often an object of a prompt's noun is found among the others: a mean over objects, then over nouns."""
    ranks = []
    for prompt in prompts:
        reading: Reading = scorer.index.read(prompt)
        candidates = scorer.candidates(reading)
        own = np.flatnonzero(candidates.nouns == reading.things[0].noun)
        found = []
        for i in own:
            others = candidates.groups != candidates.groups[i]
            if (candidates.nouns[others] == reading.things[0].noun).any():
                errors = ((candidates.pictures[others] - candidates.pictures[i])[..., :3] ** 2).mean((1, 2, 3, 4))
                found.append(noun_rank(errors, candidates.nouns[others], reading.things[0].noun))
        if found:
            ranks.append([np.mean([rank <= n for rank in found]) for n in (1, 5)])
    top1, top5 = np.mean(ranks, axis=0) if ranks else (float("nan"), float("nan"))
    return {"top1_others": float(top1), "top5_others": float(top5)}


def table(found: dict[str, list[Row]], ceiling: Row) -> None:
    print("| | " + " | ".join(MEASURES) + " |\n|---" * 1 + "|---" * len(MEASURES) + "|")
    for name, rows in [*found.items(), ("the library's own objects", [ceiling])]:
        cells = [[row[measure] for row in rows if measure in row] for measure in MEASURES]
        print(f"| {name} | " + " | ".join(f"{np.mean(cell):.3f}" if cell else "" for cell in cells) + " |")


if __name__ == "__main__":
    main()
