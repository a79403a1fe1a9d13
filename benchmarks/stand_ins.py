"""Two priors that stand for models of other kinds where the truth is known, each trained further from that of the toybox world.

    python benchmarks/stand_ins.py words|multiview --out FOLDER [--images 20000]

`words` is never told a camera, only the side in words, and sees fronts four times as often as other sides, as text-to-image models
do on the web. `multiview` sees four sides of a thing at once, told their cameras, and its self-attention looks at all four, as that
of MVDream does (arXiv 2308.16512, section 3). What was stopped goes on from its checkpoint. Prints the prior's folder, for
benchmarks/objectives.py.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

from df3d_prior import lesson, train
from df3d_prior.config import TrainConfig
from df3d_toybox.world.source import WorldSource

VIEWS = 4
WORLDS = {"words": WorldSource(fronts=4.0), "multiview": WorldSource(views=VIEWS)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=WORLDS)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    options = parser.parse_args()
    world = WORLDS[options.kind]
    config = TrainConfig(
        images=options.images,
        learning_rate=options.learning_rate,
        average=0.995,
        drop_camera=1.0 if options.kind == "words" else 0.0,
    )
    begun = lesson.prepare(None, lesson.SHIPPED, config)
    if world.views > 1:
        begun.model.join(world.views)
    mix = replace(begun.mix, sources=(world,), shares=(1.0,), views=world.views)
    also = partial(lesson.finish, begun)
    for now in train.train(config, mix, begun.model, options.out, card=begun.card, also=also, about=options.kind):
        print(f"{now.step}/{now.steps}  loss {now.loss:.4f}  {now.images_per_second:.0f} pictures a second", flush=True)
    print(options.out / "model")


if __name__ == "__main__":
    main()
