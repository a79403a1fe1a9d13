"""How often a generated asset is what was asked for, judged by the world itself and by no model.

    python benchmarks/toybox.py --runs runs/benchmark [--prompts 30] [--set guidance.camera=false ...]

Every prompt is generated (runs that are finished are kept), its field is drawn from 8 sides with the world's own camera
and light, and the pictures are looked up among the world's pictures of all candidate prompts: the nearest by mean squared
error at 32 x 32, over the 8 views. The ceiling is the same look-up for the world's own objects with other proportions.
An asset counts as two-faced when a view from behind (135 to 225 degrees) looks more like the object's front (within 45
degrees) than like any other side of it; only nouns with a front are asked.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from df3d_toybox.captions import COLOR_NAMES, NOUN_NAMES, Caption, Thing, read
from df3d_toybox.world import render, scene
from df3d_toybox.world.nouns import NOUNS

from df3d import recipe
from df3d.cameras import orbit
from df3d.catalog import Catalog
from df3d.compose import compose
from df3d.config import parse_setting
from df3d.generate import generate
from df3d.prompt import Prompt
from df3d.rundir import RunDir, default_path
from df3d.schedule import Step

PROMPTS = (
    *("a peacock on a surfboard", "a red car", "a brown dog", "a snowman", "a blue chair", "a dog on a table"),
    *("a green mug", "a rocket", "a yellow mushroom", "a white boat", "a cat", "a horse", "a pink pig", "a rabbit"),
    *("an elephant", "a blue bird", "a yellow duck", "a penguin", "a peacock", "an orange fish", "a truck", "an airplane"),
    *("a red sofa", "a purple lamp", "a tree", "a house", "a robot", "a green table", "a black hat", "a surfboard"),
    *("a penguin wearing a red hat", "a cat on a red sofa", "a blue mug on a brown table", "a snowman wearing a hat"),
)
VIEWS, ELEVATION, VARIATIONS = 8, 15.0, 4


def candidates() -> list[Caption]:
    """The benchmark's captions and every noun in its own colour and three others: more than a hundred."""
    captions = [caption_of(prompt) for prompt in PROMPTS]
    for i, noun in enumerate(NOUN_NAMES):
        colors = [None, *(COLOR_NAMES[(3 * i + 4 * k) % len(COLOR_NAMES)] for k in range(3))]
        captions += [Caption(Thing(noun, color)) for color in colors]
    unique: dict[tuple[str, str], Caption] = {}
    for caption in captions:  # "a red car" and "a car" are one thing: cars are red
        unique.setdefault(look(caption), caption)
    return list(unique.values())


def caption_of(prompt: str) -> Caption:
    caption = read(prompt).caption
    assert caption is not None, prompt
    return caption


def look(caption: Caption) -> tuple[str, str]:
    """Captions with the same look are the same candidate."""

    def full(thing: Thing | None) -> str:
        return "" if thing is None else f"{thing.color or NOUNS[thing.noun].natural} {thing.noun}"

    return full(caption.subject), f"{caption.relation} {full(caption.other)}"


def small(images: np.ndarray) -> np.ndarray:
    """(V, 64, 64, 3) to (V, 32, 32, 3), by the mean."""
    return images.reshape(len(images), 32, 2, 32, 2, 3).mean((2, 4))


def world(caption: Caption, seed: int | None, views: int = VIEWS) -> np.ndarray:
    rng = None if seed is None else np.random.default_rng(seed)
    poses = orbit(views, elevation=ELEVATION, distance=render.DISTANCE, fov_y=render.FOV_Y).pose.numpy()
    return small(render.render([render.pack(scene.build(caption, rng))] * views, poses, size=64)[..., :3])


def generated(prompt: str, folder: Path, settings: list[str], catalog: Catalog) -> np.ndarray:
    """Run the prompt, or take up its run, and draw the field from the benchmark's views."""
    chosen = recipe.override(recipe.find("toybox", catalog), map(parse_setting, settings), catalog)
    plans, full = compose(chosen, catalog)
    run = RunDir.open(folder / default_path(prompt, 0).name, prompt=Prompt(prompt), recipe=full, seed=0)
    try:
        for event in generate(full, Prompt(prompt), run, catalog):
            run.log(event)
        plan = plans[-1]
        field = plan.field.build(device="cpu", start_from=None)
        run.restore_field(plan.name, field)
    finally:
        run.close()
    renderer = plan.build_renderer(device="cpu")
    renderer.refresh(field, Step(0, 1))
    with torch.no_grad():
        views = orbit(VIEWS, elevation=ELEVATION, distance=render.DISTANCE, fov_y=render.FOV_Y, size=64)
        return small(renderer.render(field, views).rgb.numpy())


def rank(images: np.ndarray, pool: np.ndarray, right: int) -> int:
    """How many candidates look more like the images than the right one does."""
    errors = ((pool - images) ** 2).mean((2, 3, 4, 5)).min(1)  # (candidates, variations) -> nearest variation
    return int((errors < errors[right]).sum())


def two_faced(images: np.ndarray, caption: Caption) -> bool:
    sides = world(caption, None, views=24)
    azimuths = np.arange(24) * 15.0
    front = np.minimum(azimuths, 360 - azimuths) <= 45
    for i in range(VIEWS):
        azimuth = i * 360 / VIEWS
        if 135 <= azimuth <= 225:
            errors = ((sides - images[i]) ** 2).mean((1, 2, 3))
            if front[int(errors.argmin())]:
                return True
    return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--prompts", type=int, default=len(PROMPTS))
    parser.add_argument("--set", action="append", default=[], dest="settings")
    options = parser.parse_args()
    catalog = Catalog.discover()
    pool_captions = candidates()
    looks = [look(caption) for caption in pool_captions]
    pool = np.stack([[world(caption, seed) for seed in (None, *range(VARIATIONS))] for caption in pool_captions])
    print(f"{len(pool_captions)} candidates")

    ranks, ceiling, faces = [], [], []
    for prompt in PROMPTS[: options.prompts]:
        caption = caption_of(prompt)
        right = looks.index(look(caption))
        images = generated(prompt, options.runs, options.settings, catalog)
        ranks.append(rank(images, pool, right))
        ceiling.append(rank(world(caption, 1000), pool, right))
        if NOUNS[caption.subject.noun].front:
            faces.append(two_faced(images, caption))
        print(f"{prompt}: rank {ranks[-1] + 1}{', two-faced' if faces and faces[-1] else ''}", flush=True)
    report = {
        "prompts": len(ranks),
        "candidates": len(pool_captions),
        "top1": float(np.mean([r == 0 for r in ranks])),
        "top5": float(np.mean([r < 5 for r in ranks])),
        "ceiling_top1": float(np.mean([r == 0 for r in ceiling])),
        "ceiling_top5": float(np.mean([r < 5 for r in ceiling])),
        "two_faced": float(np.mean(faces)) if faces else None,
    }
    (options.runs / "report.json").write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


if __name__ == "__main__":
    main()
