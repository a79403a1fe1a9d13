"""How often a generated asset is what was asked for, judged by the world itself and by no model.

    python benchmarks/toybox.py --out runs/benchmark [--prompts 30] [--seeds 1] [--set guidance.camera=false ...]

Every prompt is generated with every seed (runs that are finished are kept) and scored by the scorer `toybox`, which
retrieves it among more than a hundred captions and compares it with the world's own objects. The ceiling is the same for
the world's own meshes with other proportions. Means come with 95 % bootstrap intervals over the assets.

With --ceiling nothing is generated. Two outputs are compared, pair by pair, by `df3d eval --compare A B`.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from df3d_toybox.captions import read
from df3d_toybox.config import ToyboxScorerConfig
from df3d_toybox.scorer import ToyboxScorer
from df3d_toybox.world import scene
from df3d_toybox.world.mesh import asset_of

from df3d import recipe
from df3d.catalog import Catalog
from df3d.compose import compose
from df3d.config import parse_setting
from df3d.evaluate import Result, Subject, Target, evaluate, summary
from df3d.generate import generate
from df3d.prompt import Prompt
from df3d.rundir import RunDir, default_path
from df3d.types import Asset

PROMPTS = (
    *("a peacock on a surfboard", "a red car", "a brown dog", "a snowman", "a blue chair", "a dog on a table"),
    *("a green mug", "a rocket", "a yellow mushroom", "a white boat", "a cat", "a horse", "a pink pig", "a rabbit"),
    *("an elephant", "a blue bird", "a yellow duck", "a penguin", "a peacock", "an orange fish", "a truck", "an airplane"),
    *("a red sofa", "a purple lamp", "a tree", "a house", "a robot", "a green table", "a black hat", "a surfboard"),
    *("a penguin wearing a red hat", "a cat on a red sofa", "a blue mug on a brown table", "a snowman wearing a hat"),
    *("a yellow car", "a white dog", "a red chair", "a blue truck", "a green boat", "a purple mug", "a grey elephant"),
    *("an orange cat", "a blue house", "a red airplane", "a pink rabbit", "a white horse", "a red robot"),
    *("a dog wearing a hat", "a green duck on a red car", "a bird on a sofa"),
)
OTHER = 1000  # seed of the ceiling's proportions, which no candidate has


def generated(prompt: str, seed: int, folder: Path, settings: list[str], catalog: Catalog) -> Target:
    """Run the prompt, or take up its run."""
    chosen = recipe.override(recipe.find("toybox", catalog), map(parse_setting, settings), catalog)
    full = compose(chosen, catalog)[1]
    run = RunDir.open(folder / default_path(prompt, seed).name, prompt=Prompt(prompt), recipe=full, seed=seed)
    try:
        for event in generate(full, Prompt(prompt), run, catalog, seed=seed):
            run.log(event)
    finally:
        run.close()
    asset = run.asset()
    assert asset is not None
    return Target(asset, prompt, run=run.path, seed=seed)


class Own(Subject):
    """One of the world's own objects."""

    def __init__(self, asset: Asset, prompt: str, catalog: Catalog) -> None:
        super().__init__(Target(Path(), prompt), catalog)
        self.__dict__["asset"] = asset


def ceiling(prompts: tuple[str, ...], scorer: ToyboxScorer, catalog: Catalog) -> list[Result]:
    found = []
    for prompt in prompts:
        caption = read(prompt).caption
        assert caption is not None
        subject = Own(asset_of(scene.build(caption, np.random.default_rng(OTHER))), prompt, catalog)
        scores = {f"toybox.{measure}": value for measure, value in scorer.score(subject).items()}
        found.append(Result(subject.target, scores))
    return found


def targets(options: argparse.Namespace, catalog: Catalog) -> Iterator[Target]:
    for seed in range(options.seeds):
        for prompt in PROMPTS[: options.prompts]:
            yield generated(prompt, seed, options.out, options.settings, catalog)


def report(title: str, results: list[Result]) -> dict[str, str]:
    lines = {name: f"{i.mean:.3f} ({i.low:.3f} to {i.high:.3f})" for name, i in summary(results).items()}
    faces = [r.scores["toybox.faces"] for r in results if "toybox.faces" in r.scores]
    lines["more than one face"] = f"{sum(f > 1 for f in faces)} of {len(faces)}"
    print(f"{title}: {len(results)} assets")
    for name, text in lines.items():
        print(f"  {name}: {text}")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--prompts", type=int, default=len(PROMPTS))
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--ceiling", action="store_true")
    options = parser.parse_args()
    catalog, scorer = Catalog.discover(), ToyboxScorer(ToyboxScorerConfig())
    found = {"ceiling": report("the world's own, other proportions", ceiling(PROMPTS[: options.prompts], scorer, catalog))}
    if not options.ceiling:
        results = []
        for result in evaluate(targets(options, catalog), {"toybox": scorer}, catalog):
            results.append(result)
            s = result.scores
            print(f"{result.target.name}: rank {s['toybox.rank']:.0f}, iou {s['toybox.iou']:.2f}", flush=True)
        found["generated"] = report("generated", results)
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "report.json").write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
