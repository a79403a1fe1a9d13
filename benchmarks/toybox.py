"""How good the shipped recipe is, judged by the toybox world itself and by no model: the tables of a page of figures.

    python benchmarks/toybox.py --out runs/benchmark [--prompts 30] [--seeds 1] [--ways camera words] [--set KEY=VALUE ...]

Every prompt is generated with every seed, in each of the ways that WAYS lists, and what comes out is scored by the scorers
`toybox` and `geometry`. The ceiling is the same for the world's own meshes with other proportions. Means come with 95 %
bootstrap intervals, and so do the paired differences between stages and between ways.

Fifty prompts, three seeds and all ways take some ten hours on two cores. What is finished is kept, so the script can be
stopped and started again, and takes up runs that `df3d generate PROMPT --out OUT/WAY/SLUG` made with the same settings. The
tables are left in OUT/figures.md. With --ceiling nothing is generated.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from df3d_mesh.scorer import GeometryScorer
from df3d_toybox.captions import read
from df3d_toybox.config import ToyboxScorerConfig
from df3d_toybox.scorer import ToyboxScorer
from df3d_toybox.world import scene
from df3d_toybox.world.mesh import asset_of

from df3d import recipe
from df3d.catalog import Catalog
from df3d.compose import compose
from df3d.config import parse_setting
from df3d.evaluate import Interval, Result, Subject, Target, compare, evaluate, summary
from df3d.export import export
from df3d.generate import generate
from df3d.plugin import NoConfig
from df3d.prompt import Prompt
from df3d.provenance import origin
from df3d.rundir import RunDir, default_path
from df3d.types import Asset

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
    "toybox.iou": "silhouette IoU",
    "toybox.color_error": "colour error",
    "toybox.chamfer": "Chamfer",
    "toybox.f_score": "F-score",
    "geometry.watertight": "watertight",
}
OTHER = 1000  # seed of the ceiling's proportions, which no candidate has


def made(prompt: str, seed: int, folder: Path, settings: Sequence[str], catalog: Catalog, *, until: str | None) -> RunDir:
    """Run the prompt, or take up its run."""
    chosen = recipe.override(recipe.find("toybox", catalog), map(parse_setting, settings), catalog)
    full = compose(chosen, catalog)[1]
    run = RunDir.open(folder / default_path(prompt, seed).name, prompt=Prompt(prompt), recipe=full, seed=seed)
    try:
        for event in generate(full, Prompt(prompt), run, catalog, seed=seed, until=until):
            run.log(event)
    finally:
        run.close()
    return run


def of_first_stage(run: RunDir, prompt: str, seed: int, catalog: Catalog) -> Target:
    """The asset that the run would have ended in without its later stages."""
    path = run.path / "coarse.glb"
    if not path.exists():
        plan = compose(run.recipe(), catalog)[0][0]
        field = plan.field.build(device="cpu", start_from=None)
        run.restore_field(plan.name, field)
        list(export(field, run.recipe().export, catalog, path, provenance=origin(run.manifest())))
    return Target(path, prompt, seed=seed)


class Own(Subject):
    """One of the world's own objects."""

    def __init__(self, asset: Asset, prompt: str, catalog: Catalog) -> None:
        super().__init__(Target(Path(), prompt), catalog)
        self.__dict__["asset"] = asset


def ceiling(prompts: Sequence[str], scorer: ToyboxScorer, catalog: Catalog) -> list[Result]:
    found = []
    for prompt in prompts:
        caption = read(prompt).caption
        assert caption is not None
        subject = Own(asset_of(scene.build(caption, np.random.default_rng(OTHER))), prompt, catalog)
        scores = {f"toybox.{measure}": value for measure, value in scorer.score(subject).items()}
        found.append(Result(subject.target, scores))
    return found


def means(rows: dict[str, list[Result]]) -> str:
    """Markdown: a row for each set of assets."""
    lines = [["", "assets", *COLUMNS.values(), "more than one face"]]
    for title, results in rows.items():
        found = summary(results)
        faces = [result.scores["toybox.faces"] for result in results if "toybox.faces" in result.scores]
        cells = [written(found[measure]) if measure in found else "" for measure in COLUMNS]
        lines.append([title, str(len(results)), *cells, f"{sum(f > 1 for f in faces)} of {len(faces)}"])
    return markdown(lines)


def differences(pairs: dict[str, tuple[list[Result], list[Result]]]) -> str:
    """Markdown: second less first, over the prompts and seeds that both have."""
    lines = [["", "pairs", *COLUMNS.values()]]
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--prompts", type=int, default=len(PROMPTS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--ceiling", action="store_true")
    options = parser.parse_args()
    catalog, toybox = Catalog.discover(), ToyboxScorer(ToyboxScorerConfig())
    prompts, scorers = PROMPTS[: options.prompts], {"toybox": toybox, "geometry": GeometryScorer(NoConfig())}
    rows = {"the world's own, other proportions": ceiling(prompts, toybox, catalog)}
    for way in () if options.ceiling else options.ways:
        coarse, fine = [], []
        for seed in range(options.seeds):
            for prompt in prompts:
                settings = [*WAYS[way], *options.settings]
                until = None if way == "camera" else "coarse"
                run = made(prompt, seed, options.out / way, settings, catalog, until=until)
                coarse.append(of_first_stage(run, prompt, seed, catalog))
                if (asset := run.asset()) is not None:
                    fine.append(Target(asset, prompt, run=run.path, seed=seed))
                print(run.path, flush=True)
        rows[f"{way}, coarse"] = list(evaluate(coarse, scorers, catalog))
        if fine:
            rows[f"{way}, fine"] = list(evaluate(fine, scorers, catalog))
    wanted = (("camera, coarse", "camera, fine"), ("camera, coarse", "words, coarse"), ("words, coarse", "perp-neg, coarse"))
    pairs = {f"{b} less {a}": (rows[a], rows[b]) for a, b in wanted if a in rows and b in rows}
    text = means(rows) + (f"\nPair by pair:\n\n{differences(pairs)}" if pairs else "")
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "figures.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
