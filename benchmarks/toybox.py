"""How good the shipped recipe is, judged by the toybox world itself and by no model: the tables of a page of figures.

    python benchmarks/toybox.py --out runs/benchmark [--prompts 50] [--held-out SEED] [--seeds 3] [--ways camera words perp-neg]
        [--workers 2] [--device cpu] [--set KEY=VALUE ...]

Every prompt is generated with every seed, in each of the ways that WAYS lists, and what comes out is scored by the scorers
`toybox` and `geometry`: the fixed prompts, and with --held-out some that are drawn from a seed (`benchmarks/heldout.py`), so that
nobody can have tuned anything to them. Beside them stand the ceiling, which is the world's own objects with other proportions,
and floors: objects of another noun in the right colour, and a ball of it. Means and paired differences come with 95 % bootstrap
intervals over prompts and seeds, as `df3d.evaluation.statistics` makes them.

The scores of each asset are a row of OUT/scores.csv, and what has a row there is not made again: the script can be stopped and
started again, here or, with that file, elsewhere. It also takes up runs that `df3d generate PROMPT --out OUT/WAY/SLUG` made
with the same settings. The tables are left in OUT/figures.md. With --page FILE nothing is generated: the tables of the scores
beside that page are written into it, between its marks. So the page of figures is made again with

    python benchmarks/toybox.py --page docs/explanation/figures.md
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import multiprocessing
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import cache
from pathlib import Path

import heldout
import numpy as np
from df3d_mesh.scorer import GeometryScorer
from df3d_prior.colors import COLORS
from df3d_toybox.captions import NOUN_NAMES, Caption, Thing, read
from df3d_toybox.config import ToyboxScorerConfig
from df3d_toybox.scorer import ToyboxScorer
from df3d_toybox.world import scene
from df3d_toybox.world.mesh import asset_of
from df3d_toybox.world.nouns import NOUNS
from df3d_toybox.world.shapes import Parts

from df3d import NoConfig
from df3d.errors import Df3dError, RunError
from df3d.evaluation.evaluate import Result, evaluate
from df3d.evaluation.statistics import Interval, compare, summary
from df3d.evaluation.subject import TargetSubject
from df3d.evaluation.targets import Target
from df3d.mesh.assemble import export
from df3d.plugin.catalog import Catalog
from df3d.protocols import Scorer
from df3d.recipe.compose import compose
from df3d.run.job import prepare
from df3d.run.provenance import origin
from df3d.run.rundir import RunDir, default_path
from df3d.system.files import replace_atomically

PROMPTS = (
    *("a peacock on a surfboard", "a red car", "a brown dog", "a snowman", "a blue chair", "a dog on a table"),
    *("a green mug", "a rocket", "a yellow mushroom", "a DSLR photo of a white boat", "a cat", "a horse", "a pink pig", "a rabbit"),
    *("an elephant", "a blue bird", "a yellow duck", "a penguin", "a peacock", "an orange fish", "a truck", "an airplane"),
    *("a red sofa", "a purple lamp", "a tree", "a house", "a robot", "a green table", "a black hat", "a surfboard"),
    *("a penguin wearing a red hat", "a cat on a red sofa", "a blue mug on a brown table", "a snowman wearing a hat"),
    *("a yellow car", "a white dog", "a red chair", "a blue truck", "a green boat", "a purple mug", "a grey elephant"),
    *("an orange cat", "a blue house", "a red airplane", "a pink rabbit", "a white horse", "a red robot"),
    *("a dog wearing a hat", "a green duck on a red car", "a bird on a sofa"),
)
# How the model is told which side it sees: by the camera, or by view words in the prompt, alone or with Perp-Neg.
WAYS = {
    "camera": (),
    "words": ("guidance.camera=false",),
    "perp-neg": ("guidance.camera=false", "guidance.view_texts=perp-neg"),
}
COLUMNS = {
    "toybox.top1": "top-1",
    "toybox.top5": "top-5",
    "toybox.exact": "exact",
    "toybox.facing": "facing",
    "toybox.iou": "silhouette IoU",
    "toybox.iou_fine": "fine IoU",
    "toybox.color_error": "colour error",
    "toybox.chamfer": "Chamfer",
    "toybox.f_score": "F-score",
    "toybox.normals": "normals",
    "geometry.watertight": "watertight",
}
FACES, JANUS = "toybox.faces", "toybox.janus"
MEASURES = (*COLUMNS, FACES, JANUS)
MARKS = ("<!-- tables of figures.csv, by benchmarks/toybox.py -->", "<!-- end of the tables -->")
HELD_OUT = "held out"  # the set of prompts that is not fixed
OTHER = 1000  # seed of the ceiling's proportions, which no candidate has


@dataclasses.dataclass(frozen=True)
class Job:
    """A run to be made and scored."""

    set: str
    way: str
    prompt: str
    seed: int
    folder: Path
    settings: tuple[str, ...]
    device: str


Row = dict[str, str]  # of scores.csv
FIRST = ("set", "way", "stage", "prompt", "seed", "device")  # its columns, before the measures


@cache
def tools() -> tuple[Catalog, dict[str, Scorer]]:
    return Catalog.discover(), {"toybox": ToyboxScorer(ToyboxScorerConfig()), "geometry": GeometryScorer(NoConfig())}


def work(job: Job) -> list[Row]:
    """Make a run and score what each of its stages ends in."""
    catalog, scorers = tools()
    run = made(job, catalog)
    targets = {"coarse": of_first_stage(run, job, catalog)}
    if (asset := run.asset()) is not None:
        targets["fine"] = Target(asset, job.prompt, run=run.path, seed=job.seed)
    rows = []
    for stage, result in zip(targets, evaluate(targets.values(), scorers, catalog), strict=True):
        if result.problems:
            raise RunError(f"{stage}: {'; '.join(result.problems.values())}")
        rows.append(row(result, (job.set, job.way, stage, job.prompt, str(job.seed), job.device)))
    return rows


def row(result: Result, first: Sequence[str]) -> Row:
    measures = {name: f"{result.scores[name]:.4f}" if name in result.scores else "" for name in MEASURES}
    return dict(zip(FIRST, first, strict=True)) | measures


def made(job: Job, catalog: Catalog) -> RunDir:
    """Run the prompt, or take up its run."""
    settings = [*WAYS[job.way], *job.settings]
    prepared = prepare(
        job.prompt,
        recipe="toybox",
        settings=settings,
        device=job.device,
        catalog=catalog,
        until=None if job.way == "camera" else "coarse",
    )
    folder = job.folder / job.way / default_path(job.prompt, job.seed).name
    prepared.run(folder, job.seed, lambda event: None)
    return RunDir(folder)


def of_first_stage(run: RunDir, job: Job, catalog: Catalog) -> Target:
    """The asset that the run would have ended in without its later stages."""
    path = run.path / "coarse.glb"
    if not path.exists():
        plan = compose(run.recipe(), catalog)
        stage = plan.stages[0]
        assert stage.field is not None
        field = stage.field.plugin.build(stage.field.config, device="cpu", start_from=None)
        run.checkpoints(stage.name).restore({"field": field})
        list(export(field, plan.recipe.export, plan.exporter, path, provenance=origin(run.manifest())))
    return Target(path, job.prompt, seed=job.seed)


CEILING = "the world's own, other proportions"
FLOORS = ("another noun in its colour", "a ball in its colour")


def known_objects(caption: Caption) -> dict[str, Parts]:
    """What the best and the worst would be: the ceiling and the floors."""
    thing, rng = caption.subject, np.random.default_rng(OTHER)
    color = thing.color or NOUNS[thing.noun].natural
    noun = NOUN_NAMES[(NOUN_NAMES.index(thing.noun) + len(NOUN_NAMES) // 2) % len(NOUN_NAMES)]
    ball = Parts()
    ball.ball((0, 0, 0), scene.RADIUS, COLORS[color])
    return {CEILING: scene.build(caption, rng), FLOORS[0]: scene.build(Caption(Thing(noun, color)), rng), FLOORS[1]: ball}


def score_known(prompts: Sequence[str], name: str) -> list[Row]:
    """Rows of the ceiling and the floors for the prompts of a set."""
    catalog, scorers = tools()
    rows = []
    for prompt in prompts:
        caption = read(prompt).caption
        assert caption is not None
        for way, parts in known_objects(caption).items():
            subject = TargetSubject(Target(Path(), prompt), catalog, asset=asset_of(parts))
            scores = {f"toybox.{measure}": value for measure, value in scorers["toybox"].score(subject).items()}
            rows.append(row(Result(subject.target, scores), (name, way, "", prompt, "0", "")))
    return rows


class Scores:
    """The rows of a scores.csv, old and new."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows: list[Row] = list(csv.DictReader(path.read_text().splitlines())) if path.exists() else []

    def has(self, *, way: str, prompt: str, seed: int) -> bool:
        return any((row["way"], row["prompt"], row["seed"]) == (way, prompt, str(seed)) for row in self.rows)

    def add(self, rows: Iterable[Row]) -> None:
        self.rows += rows
        self.rows.sort(key=lambda row: (row["set"], row["way"], row["stage"], int(row["seed"]), row["prompt"]))
        replace_atomically(self.path, self._write)

    def _write(self, path: Path) -> None:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, [*FIRST, *MEASURES], lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)

    def tables(self) -> str:
        """Markdown: every set of assets with its means, then some of them pair by pair."""
        groups: dict[tuple[str, str, str], list[Result]] = {}
        for found in self.rows:
            target = Target(Path(), found["prompt"], seed=int(found["seed"]))
            result = Result(target, {name: float(found[name]) for name in MEASURES if found.get(name)})
            groups.setdefault((found["set"], found["way"], found["stage"]), []).append(result)
        order = [CEILING, *WAYS, *FLOORS]
        keys = sorted(groups, key=lambda key: (key[0] == HELD_OUT, order.index(key[1]), key[2]))
        rows = {key: groups[key] for key in keys}
        wanted = ((("camera", "coarse"), ("camera", "fine")), (("camera", "coarse"), ("words", "coarse")),
                  (("words", "coarse"), ("perp-neg", "coarse")))  # fmt: skip
        pairs = {
            f"{named(name, *after)} less {named(name, *before)}": (rows[name, *before], rows[name, *after])
            for name in dict.fromkeys(key[0] for key in keys)
            for before, after in wanted
            if (name, *before) in rows and (name, *after) in rows
        }
        text = means({named(*key): results for key, results in rows.items()})
        return text + (f"\nPair by pair:\n\n{differences(pairs)}" if pairs else "")


def with_tables(page: Path) -> str:
    """The page with the tables of its scores between its marks."""
    return put_between(page, MARKS, Scores(page.with_suffix(".csv")).tables())


def put_between(page: Path, marks: tuple[str, str], tables: str) -> str:
    """The page with these tables between two marks of it."""
    before, _, rest = page.read_text().partition(marks[0])
    _, _, after = rest.partition(marks[1])
    return f"{before}{marks[0]}\n\n{tables}\n{marks[1]}{after}"


def named(name: str, way: str, stage: str) -> str:
    return ", ".join(part for part in (way, stage, name if name == HELD_OUT else "") if part)


def means(rows: dict[str, list[Result]]) -> str:
    """Markdown: a row for each set of assets."""
    lines = [["", "assets", *COLUMNS.values(), "more than one face"]]
    for title, results in rows.items():
        found = summary(results)
        cells = [written(found[measure]) if measure in found else "" for measure in COLUMNS]
        lines.append([title, str(len(results)), *cells, several_faces(results)])
    return markdown(lines)


def several_faces(results: Sequence[Result]) -> str:
    """Of the assets with a front, how many have several faces by either measure of them."""
    told = [result.scores for result in results if FACES in result.scores]
    return f"{sum(scores[FACES] > 1 or scores.get(JANUS, 0) > 0.5 for scores in told)} of {len(told)}" if told else ""


def differences(pairs: dict[str, tuple[list[Result], list[Result]]]) -> str:
    """Markdown: second less first, over the prompts that both have."""
    lines = [["", "prompts", *COLUMNS.values()]]
    for title, (first, second) in pairs.items():
        found = compare(first, second)
        cells = [written(found[measure], sign="+") if measure in found else "" for measure in COLUMNS]
        lines.append([title, str(max(interval.count for interval in found.values())), *cells])
    return markdown(lines)


def written(interval: Interval, *, sign: str = "") -> str:
    return f"{interval.mean:{sign}.3f} ({interval.low:{sign}.3f} to {interval.high:{sign}.3f})"


def markdown(lines: list[list[str]]) -> str:
    rows = [f"| {' | '.join(cells)} |" for cells in (lines[0], ["---"] * len(lines[0]), *lines[1:])]
    return "\n".join(rows) + "\n"


def run_all(jobs: Sequence[Job], scores: Scores, workers: int) -> list[str]:
    """Work through the jobs, adding to the scores, in `workers` processes that share the cores; returns what went wrong."""
    failed, threads = [], max(1, (os.cpu_count() or 1) // workers)
    os.environ.update(OMP_NUM_THREADS=str(threads), NUMBA_NUM_THREADS=str(threads))
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting = {pool.submit(work, job): job for job in jobs}
        for count, done in enumerate(as_completed(waiting), start=1):
            job = waiting[done]
            try:
                scores.add(done.result())
            except Df3dError as error:
                failed.append(f"{job.prompt} ({job.way}, seed {job.seed}): {error.message}")
            print(f"{count} of {len(jobs)}: {job.prompt} ({job.way}, seed {job.seed})", flush=True)
    return failed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/benchmark"))
    parser.add_argument("--prompts", type=int, default=len(PROMPTS), help="how many of the fixed ones")
    parser.add_argument("--held-out", type=int, metavar="SEED", help="prompts that are drawn from this seed, too")
    parser.add_argument("--count", type=int, default=20, help="how many of these")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--page", type=Path, help="write the tables of the scores beside it, NAME.csv, into this page")
    options = parser.parse_args()
    if options.page:
        options.page.write_text(with_tables(options.page))
        return
    sets = {"fixed": list(PROMPTS[: options.prompts])}
    if options.held_out is not None:
        sets[HELD_OUT] = heldout.prompts(options.held_out, options.count, PROMPTS)
    options.out.mkdir(parents=True, exist_ok=True)
    scores = Scores(options.out / "scores.csv")
    jobs = [
        Job(name, way, prompt, seed, options.out, tuple(options.settings), options.device)
        for way in options.ways
        for seed in range(options.seeds)
        for name, prompts in sets.items()
        for prompt in prompts
        if not scores.has(way=way, prompt=prompt, seed=seed)
    ]
    failed = run_all(jobs, scores, options.workers)
    for name, prompts in sets.items():
        scores.add(score_known([prompt for prompt in prompts if not scores.has(way=CEILING, prompt=prompt, seed=0)], name))
    text = scores.tables()
    (options.out / "figures.md").write_text(text)
    print(text)
    if failed:
        sys.exit("without a result:\n" + "\n".join(failed))


if __name__ == "__main__":
    main()
