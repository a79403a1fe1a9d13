"""`df3d toybox draw`: the world itself."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

toybox = typer.Typer(help="The embedded world.", no_args_is_help=True)


@toybox.callback()
def _group() -> None:
    """The embedded world."""


@toybox.command()
def draw(
    caption: str = typer.Argument(..., help="For example `a red dog on a blue table`."),
    out: Path = typer.Option(Path("toybox.png"), "--out", "-o", help="PNG file to write: 8 views."),
    seed: int | None = typer.Option(None, min=0, help="Draw the proportions at random; without it they are the middle ones."),
) -> None:
    """Draw an object of the world itself, no model involved: what a perfect result would look like."""
    import numpy as np
    from df3d_prior import raster
    from PIL import Image

    from df3d.errors import ConfigError, PromptError
    from df3d.scene.cameras import orbit
    from df3d_toybox.captions import NOUN_NAMES, read
    from df3d_toybox.world import render, scene

    reading = read(caption)
    understood = reading.caption
    if understood is None:
        raise PromptError(f"the world has no object of `{caption}`", f"it has {', '.join(NOUN_NAMES)}")
    if left := (*reading.unknown, *reading.left_out):
        print(f"note: it makes `{understood}`, and leaves out {', '.join(f'`{word}`' for word in left)}", file=sys.stderr)
    if not out.parent.is_dir() or out.suffix.lower() not in (".png", ".webp", ".jpg"):
        raise ConfigError(f"cannot write a picture to `{out}`", "give a .png file in a folder that exists")
    solids = scene.build(understood, None if seed is None else np.random.default_rng(seed))
    views = orbit(8, fov_y=raster.FOV_Y, distance=raster.DISTANCE)
    images = render.render([render.pack(solids)] * 8, views.pose.numpy(), size=256)[..., :3]
    rows = np.concatenate([np.concatenate(list(images[i : i + 4]), axis=1) for i in (0, 4)])
    Image.fromarray((rows * 255).round().astype(np.uint8)).save(out)
    print(out)
