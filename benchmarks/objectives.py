"""Objectives, noises and orders of timesteps against each other, where the truth is known: in the toybox world, at equal cost.

    python benchmarks/objectives.py --words FOLDER --multiview FOLDER --out runs/objectives [--prompts 20] [--seeds 2]
        [--workers 2] [--methods NAME ...]

The priors are those of benchmarks/stand_ins.py: one that is told words and no camera, as Stable Diffusion is, and for the methods
named so one that denoises four views together, as MVDream does. Every method has as many looks of the model at each view,
EVALUATIONS, as the recipe's coarse stage: one that asks more in a step has fewer steps. What the coarse stage ends in is scored by
the toybox scorer. Rows are kept in OUT/objectives.csv as they come; what has one is not made again, and the table is left in
OUT/objectives.md. With --page FILE the table of the CSV beside that page is written into it instead.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, replace
from functools import cache
from multiprocessing import get_context
from os import environ
from pathlib import Path
from statistics import median

import df3d_toybox
import toybox
from toybox import COLUMNS, FACES, JANUS, MEASURES, PROMPTS, markdown, several_faces, written

from df3d import GuidancePlugin, hookimpl
from df3d.errors import Df3dError, RunError
from df3d.evaluation.evaluate import Result, evaluate
from df3d.evaluation.statistics import summary
from df3d.evaluation.targets import Target
from df3d.plugin.catalog import Catalog
from df3d.protocols import Scorer
from df3d.run.job import prepare
from df3d.run.rundir import RunDir, default_path

EVALUATIONS = 440  # looks of the model at each view, in the coarse stage: 220 steps of two
MARKS = ("<!-- table of objectives.csv, by benchmarks/objectives.py -->", "<!-- end of the table -->")
RECIPE = "multiview.toml"
FALLING = ("order=falling", "jitter=0.1")


@dataclass(frozen=True)
class Method:
    """A way to use the model."""

    settings: tuple[str, ...]  # of its guidance
    looks: float = 2.0  # of the model at a view in a step, a mean over the stage
    prior: str = "words"

    @property
    def steps(self) -> int:
        return round(EVALUATIONS / self.looks)


METHODS = {
    "reconstruction": Method(()),
    "reconstruction, falling timesteps": Method(FALLING),
    "reconstruction, fixed noise": Method(("noise=fixed",)),
    "reconstruction, noise on a sphere": Method(("noise=sphere",)),
    "reconstruction, noise on a sphere, falling": Method((*FALLING, "noise=sphere", "noise_every=50")),
    "reconstruction, noise on the surface": Method(("noise=surface",)),
    "reconstruction, noise on the surface, falling": Method((*FALLING, "noise=surface", "noise_every=50")),
    "SDS": Method(("objective=sds", "matting=0")),
    "CSD": Method(("objective=csd", "matting=0")),
    "ASD": Method(("objective=asd", "matting=0"), 3.0),
    "ISM": Method(("objective=ism", "matting=0", "ism_stride=0.4"), 6.0),
    "SDI": Method(("objective=sdi", "matting=0", "inversion_steps=3", "inversion_scale=-3.0", *FALLING), 6.0),
    "multi-view, reconstruction": Method((), prior="multiview"),
    "multi-view, reconstruction, falling timesteps": Method(FALLING, prior="multiview"),
    "multi-view, SDS": Method(("objective=sds", "matting=0"), prior="multiview"),
}
FIRST = ("method", "prompt", "seed", "steps", "seconds")


@dataclass(frozen=True)
class Run:
    """One to be made and scored."""

    method: str
    prompt: str
    seed: int
    model: Path
    out: Path


@dataclass(frozen=True)
class MultiView:
    """A plugin of one guidance."""

    guidance: GuidancePlugin

    @hookimpl
    def df3d_guidance(self) -> Iterator[GuidancePlugin]:
        yield self.guidance


@cache
def tools() -> tuple[Catalog, dict[str, Scorer]]:
    """Those of benchmarks/toybox.py, and the embedded model's guidance as one that judges four views together."""
    catalog, scorers = toybox.tools()
    catalog.add(MultiView(replace(catalog.guidance.get("toybox"), name="multiview", group=4)))
    return catalog, scorers


def write_recipe(out: Path) -> None:
    """The toybox recipe with the guidance of four views for that of one."""
    text = (Path(df3d_toybox.__file__).parent / "recipes" / "toybox.toml").read_text()
    (out / RECIPE).write_text(text.replace('use = "toybox"', 'use = "multiview"'))


def work(run: Run) -> dict[str, str]:
    """The row of a run."""
    method, (catalog, scorers) = METHODS[run.method], tools()
    told = method.prior == "multiview"
    settings = [f"steps={method.steps}", f"guidance.model={run.model}", f"guidance.camera={str(told).lower()}",
                *(f"coarse.guidance.{text}" for text in method.settings)]  # fmt: skip
    recipe = str(run.out / RECIPE) if told else "toybox"
    prepared = prepare(run.prompt, recipe=recipe, settings=settings, device="cpu", catalog=catalog, until="coarse")
    folder = run.out / run.method.replace(", ", "-").replace(" ", "-") / default_path(run.prompt, run.seed).name
    whole, began = not folder.exists(), time.perf_counter()
    prepared.run(folder, run.seed, lambda event: None)
    seconds = f"{time.perf_counter() - began:.1f}" if whole else ""  # of one that was broken off it is not known
    job = toybox.Job("", "words", run.prompt, run.seed, run.out, (), "cpu")
    target: Target = toybox.of_first_stage(RunDir(folder), job, catalog)
    (result,) = evaluate([target], scorers, catalog)
    if result.problems:
        raise RunError("; ".join(result.problems.values()))
    measures = {name: f"{result.scores[name]:.4f}" if name in result.scores else "" for name in MEASURES}
    return {"method": run.method, "prompt": run.prompt, "seed": str(run.seed), "steps": str(method.steps),
            "seconds": seconds, **measures}  # fmt: skip


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []


def write(path: Path, rows: Sequence[dict[str, str]]) -> None:
    order = list(METHODS)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*FIRST, *MEASURES], lineterminator="\n")
        writer.writeheader()
        writer.writerows(sorted(rows, key=lambda row: (order.index(row["method"]), int(row["seed"]), row["prompt"])))


def table(rows: Sequence[dict[str, str]]) -> str:
    """Markdown: a row for each method."""
    shown = ("toybox.top1", "toybox.exact", "toybox.facing", "toybox.iou", "toybox.color_error")
    lines = [["", "assets", "steps", "seconds", *(COLUMNS[name] for name in shown), "more than one face"]]
    for method in METHODS:
        mine = [row for row in rows if row["method"] == method]
        if not mine:
            continue
        results = [
            Result(Target(Path(), row["prompt"], seed=int(row["seed"])),
                   {name: float(row[name]) for name in (*COLUMNS, FACES, JANUS) if row.get(name)})
            for row in mine
        ]  # fmt: skip
        found = summary(results)
        seconds = median(float(row["seconds"]) for row in mine if row["seconds"])
        cells = [written(found[name]) if name in found else "" for name in shown]
        lines.append([method, str(len(mine)), mine[0]["steps"], f"{seconds:.0f}", *cells, several_faces(results)])
    return markdown(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--words", type=Path, help="the folder of that prior")
    parser.add_argument("--multiview", type=Path, help="likewise")
    parser.add_argument("--out", type=Path, default=Path("runs/objectives"))
    parser.add_argument("--prompts", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--page", type=Path, help="write the table of the CSV beside it, objectives.csv, into this page")
    options = parser.parse_args()
    if options.page:
        scores = read(options.page.with_name("objectives.csv"))
        options.page.write_text(toybox.put_between(options.page, MARKS, table(scores)))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "objectives.csv"
    rows = read(path)
    made = {(row["method"], row["prompt"], row["seed"]) for row in rows}
    write_recipe(options.out)
    folders = {"words": options.words, "multiview": options.multiview}
    models = {name: folders[METHODS[name].prior].absolute() for name in options.methods if folders[METHODS[name].prior]}
    runs = [
        Run(method, prompt, seed, model, options.out)
        for seed in range(options.seeds)
        for prompt in PROMPTS[: options.prompts]
        for method, model in models.items()
        if (method, prompt, str(seed)) not in made
    ]
    environ.update(OMP_NUM_THREADS="1")
    with ProcessPoolExecutor(options.workers, mp_context=get_context("spawn")) as pool:
        waiting = {pool.submit(work, run): run for run in runs}
        for count, done in enumerate(as_completed(waiting), start=1):
            run = waiting[done]
            try:
                rows.append(done.result())
                write(path, rows)
            except Df3dError as error:
                print(f"{run}: {error.message}", flush=True)
            print(f"{count} of {len(runs)}: {run.prompt} ({run.method}, seed {run.seed})", flush=True)
    (options.out / "objectives.md").write_text(table(rows))


if __name__ == "__main__":
    main()
