"""`df3d toybox train`: the embedded model from nothing. `df3d toybox draw`: the world itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import typer

from df3d.plugin.schema import options_of
from df3d_toybox.config import TrainConfig

_HELP = {row["name"]: row["help"][0].upper() + row["help"][1:] + "." for row in options_of(TrainConfig)}
toybox = typer.Typer(help="The embedded model and its world.", no_args_is_help=True)


@toybox.command()
def train(
    out: Path = typer.Option(Path("toybox-training"), "--out", "-o", help="Folder of the training run; the same one goes on."),
    images: int = typer.Option(TrainConfig.images, min=32, help=_HELP["images"]),
    batch: int = typer.Option(TrainConfig.batch, min=1, help=_HELP["batch"]),
    learning_rate: float = typer.Option(TrainConfig.learning_rate, min=0.0, help=_HELP["learning_rate"]),
    cooldown: float = typer.Option(TrainConfig.cooldown, min=0.01, max=1.0, help=_HELP["cooldown"]),
    drop_camera: float = typer.Option(TrainConfig.drop_camera, min=0.0, max=1.0, help=_HELP["drop_camera"]),
    seed: int = typer.Option(TrainConfig.seed, min=0, help=_HELP["seed"]),
    start_from: Path | None = typer.Option(None, exists=True, file_okay=False, help="A model folder whose weights to begin with."),
    device: str = typer.Option("auto", help="`cpu`, `cuda`, or `auto`."),
    workers: int | None = typer.Option(None, min=0, help="Processes that draw the pictures; for a GPU, one for each core but one."),
    compiled: bool = typer.Option(True, "--compile/--no-compile", help="Compile the network, where it computes in half precision."),
) -> None:
    """Train the embedded model; prints the folder of the finished one, for `--set guidance.model=FOLDER`."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from df3d.system.devices import check_device
    from df3d_toybox import evaluate, train

    device = check_device(device)
    if workers is None:
        workers = 0 if device == "cpu" else max(1, (os.cpu_count() or 2) - 1)
    config = TrainConfig(
        images=images, batch=batch, learning_rate=learning_rate, cooldown=cooldown, drop_camera=drop_camera, seed=seed
    )
    columns = (TextColumn("train"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f}"),
               TextColumn("{task.fields[measures]}"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())  # fmt: skip
    console = Console(stderr=True, highlight=False)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task("train", total=config.steps, measures="starting")
        for at in train.train(config, out, start_from=start_from, device=device, compiled=compiled, workers=workers):
            measures = f"loss {at.loss:.4f}  {at.images_per_second:.0f} images/s"
            progress.update(task, completed=at.step, measures=measures)
            if not console.is_terminal:
                console.print(f"step {at.step} of {at.steps}: {measures}")
    figures = evaluate.figures(out / "model", picture=out / "samples.png")
    evaluate.add_to_card(out / "model", figures)
    print("  ".join(f"{name} {value:.3f}" for name, value in figures.items()), file=sys.stderr)
    print(out / "model")


@toybox.command()
def draw(
    caption: str = typer.Argument(..., help="For example `a red dog on a blue table`."),
    out: Path = typer.Option(Path("toybox.png"), "--out", "-o", help="PNG file to write: 8 views."),
    seed: int | None = typer.Option(None, min=0, help="Draw the proportions at random; without it they are the middle ones."),
) -> None:
    """Draw an object of the world itself, no model involved: what a perfect result would look like."""
    import numpy as np
    from PIL import Image

    from df3d.errors import ConfigError
    from df3d.scene.cameras import orbit
    from df3d_toybox.captions import read
    from df3d_toybox.prompts import check
    from df3d_toybox.world import render, scene

    for note in check(caption):
        print(f"note: {note}", file=sys.stderr)
    understood = read(caption).caption
    assert understood is not None  # or check would have refused it
    if not out.parent.is_dir() or out.suffix.lower() not in (".png", ".webp", ".jpg"):
        raise ConfigError(f"cannot write a picture to `{out}`", "give a .png file in a folder that exists")
    solids = scene.build(understood, None if seed is None else np.random.default_rng(seed))
    views = orbit(8, fov_y=render.FOV_Y, distance=render.DISTANCE)
    images = render.render([render.pack(solids)] * 8, views.pose.numpy(), size=256)[..., :3]
    rows = np.concatenate([np.concatenate(list(images[i : i + 4]), axis=1) for i in (0, 4)])
    Image.fromarray((rows * 255).round().astype(np.uint8)).save(out)
    print(out)
