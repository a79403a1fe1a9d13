"""How well the scorer `janus` tells one face from several with one CLIP: what its thresholds should be.

    python benchmarks/janus.py --model clip-b32 [--weights FILE] [--nouns 21] [--seeds 1]

The cases are known: objects of the toybox world that have a front, and the same with their front two and three times around, in
place of the back and beside it. Printed are, for each measure, the area under the ROC curve, the threshold that tells best (the
highest sum of sensitivity and specificity), and both of these there.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from df3d_clip.config import JanusConfig
from df3d_clip.janus import JanusScorer
from df3d_toybox.captions import read
from df3d_toybox.world import scene
from df3d_toybox.world.faces import many_faced
from df3d_toybox.world.mesh import asset_of
from df3d_toybox.world.nouns import NOUNS
from df3d_toybox.world.shapes import Parts

from df3d.evaluation.subject import TargetSubject
from df3d.evaluation.targets import Target
from df3d.plugin.catalog import Catalog


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True)
    parser.add_argument("--weights", default="")
    parser.add_argument("--nouns", type=int)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    scorer = JanusScorer(JanusConfig(model=options.model, weights=options.weights), device=options.device)
    catalog = Catalog.discover()

    def measures(parts: Parts, prompt: str) -> dict[str, float]:
        return scorer.score(TargetSubject(Target(Path(), prompt), catalog, device=options.device, asset=asset_of(parts)))

    single, several = [], []
    for noun in [noun.name for noun in NOUNS.values() if noun.front][: options.nouns]:
        caption = read(f"a {noun}").caption
        assert caption is not None
        for seed in range(options.seeds):
            parts = scene.build(caption, np.random.default_rng(seed))
            single.append(measures(parts, f"a {noun}"))
            several += [measures(other, f"a {noun}") for other in many_faced(parts)]
        print(f"{noun}: {len(single)} with one face, {len(several)} with several", flush=True)
    print("\n| measure | ROC-AUC | threshold | sensitivity | specificity |\n| --- | --- | --- | --- | --- |")
    for measure in single[0]:
        one, many = (np.array([found[measure] for found in some]) for some in (single, several))
        area = (many[:, None] > one).mean() + 0.5 * (many[:, None] == one).mean()
        best = max(np.unique([one, *many.reshape(-1, len(one))]), key=lambda limit: (many >= limit).mean() + (one < limit).mean())
        print(f"| {measure} | {area:.3f} | {best:.3g} | {(many >= best).mean():.2f} | {(one < best).mean():.2f} |")


if __name__ == "__main__":
    main()
