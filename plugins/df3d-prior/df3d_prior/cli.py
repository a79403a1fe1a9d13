"""`df3d prior check`, `train` and `draw`: a prior of one's own meshes."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

import typer

from df3d.errors import ConfigError, Stopped
from df3d.plugin.schema import options_of
from df3d_prior.config import TrainConfig

if TYPE_CHECKING:
    from df3d_prior.check import Checked
    from df3d_prior.lesson import Lesson

_HELP = {row["name"]: row["help"][0].upper() + row["help"][1:] + "." for row in options_of(TrainConfig)}
prior = typer.Typer(help="Priors: small models that know the embedded world and your own meshes.", no_args_is_help=True)


@prior.command()
def check(
    folder: Path = typer.Argument(..., help="The library: a folder of meshes, and captions.csv where there is one."),
    out: Path = typer.Option(
        Path("library-check.html"), "--out", "-o", help="The page to write, with every object from four sides."
    ),
    write: bool = typer.Option(
        False, "--write", help="Add a row to captions.csv, with a caption from its file name, for each mesh that has none."
    ),
    json: bool = typer.Option(False, "--json", help="A JSON line for each object on stdout, instead of a table."),
) -> None:
    """Look at a library before it is trained on: what cannot be used, what is doubtful, what has no caption.

    Ends with 1 when nothing in it can be used.
    """
    from df3d.mesh.files import read, readable
    from df3d.plugin.catalog import Catalog
    from df3d.system.files import check_place
    from df3d_prior import check as look

    check_place(out)
    catalog = Catalog.discover()
    found = look.check(folder, readable(catalog), partial(read, catalog=catalog))
    out.write_text(look.page(found), encoding="utf-8")
    if write:
        print(look.add_captions(folder, found), file=sys.stderr)
    if json:
        import json as lines

        for one in found:
            print(lines.dumps(look.record(one)))
    else:
        _table(found)
    usable = sum(not one.problem for one in found)
    captions = sum(not one.written for one in found)
    say = [f"{usable} of {len(found)} objects can be used", f"{sum(bool(c.doubts) for c in found)} are doubtful: look at {out}"]
    if captions and not write:
        say.append(f"{captions} have no caption: --write makes captions from their file names")
    print("; ".join(say), file=sys.stderr)
    if not usable:
        raise typer.Exit(1)


def _table(found: list[Checked]) -> None:
    """Print what has a problem, a doubt or no caption."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("noun", "caption", "faces")
    for heading in ("file", "what was found"):
        table.add_column(heading, overflow="fold")
    for one in found:
        told = Text(one.problem, "red") if one.problem else Text("; ".join(one.doubts))
        if told.plain or not one.written:
            faces = f"{one.faces:,}" if one.faces else ""
            table.add_row(Text(one.entry.noun), Text(one.entry.caption), faces, Text(one.entry.path), told)
    if table.row_count:
        Console(highlight=False).print(table)


@prior.command()
def train(
    folder: Path | None = typer.Argument(None, help="The library; without one the embedded world alone is learned."),
    out: Path = typer.Option(Path("prior"), "--out", "-o", help="Folder of the training; the same one goes on."),
    start_from: str = typer.Option("shipped", help="`shipped`, `none`, or the folder of a prior."),
    images: int | None = typer.Option(None, min=32, help=_HELP["images"]),
    minutes: float | None = typer.Option(None, help="Train about this long instead of a number of pictures."),
    batch: int = typer.Option(TrainConfig.batch, min=1, help=_HELP["batch"]),
    learning_rate: float = typer.Option(TrainConfig.learning_rate, min=0.0, help=_HELP["learning_rate"]),
    known: float = typer.Option(TrainConfig.known, min=0.0, max=1.0, help=_HELP["known"]),
    seed: int = typer.Option(TrainConfig.seed, min=0, help=_HELP["seed"]),
    device: str = typer.Option("auto", help="`cpu`, `cuda`, or `auto`."),
    compiled: bool = typer.Option(
        False, "--compile/--no-compile", help="Compile the network: minutes at first, then faster on a GPU."
    ),
) -> None:
    """Train a prior on a folder of meshes; prints its folder, for `df3d generate "..." --prior PRIOR`.

    At the end it draws objects from four sides, and says for how many of these samples the nearest true picture is of the same
    object and side: `learned` of the library, `kept` of the embedded world.

    Ctrl-C stops it after its step, with a checkpoint; the same command goes on from there.
    """
    from df3d.mesh.files import read, readable
    from df3d.plugin.catalog import Catalog
    from df3d.system.devices import check_device
    from df3d_prior import lesson, library
    from df3d_prior.train import check_folder, writing

    if minutes is not None and not minutes > 0:
        raise ConfigError(f"`--minutes {minutes:g}` is no time to learn anything", "give more than 0")
    if minutes is not None and images is not None:
        raise ConfigError("`--minutes` and `--images` say the same thing twice", "give one of them")
    if out.exists() and not out.is_dir():
        raise ConfigError(f"`{out}` is a file", "give a folder with --out")
    where = check_device(device)
    config = TrainConfig(
        images=images or TrainConfig.images, batch=batch, learning_rate=learning_rate, known=known, seed=seed,
        average=0.999 if (images or 0) < 500_000 else TrainConfig.average,
    )  # fmt: skip
    catalog = Catalog.discover()
    meshes = library.load(folder, partial(read, catalog=catalog)) if folder else None
    if folder and meshes:
        print(f"{len(meshes.entries)} objects, {len({e.noun for e in meshes.entries})} nouns", file=sys.stderr)
        told = {(folder / entry.path).resolve() for entry in meshes.entries}
        there = [path for path in folder.rglob("*") if path.suffix.lower() in readable(catalog)]
        if left := sum(path.resolve() not in told for path in there):
            print(f"{left} meshes have no caption, and are left out: `df3d prior check --write` captions them", file=sys.stderr)
    about = lesson.about(meshes, start_from)
    check_folder(out, about)
    try:
        with writing(out):  # so that a folder that cannot be written is told of now
            pass
        print("preparing: what is asked for is drawn small, and what the starting prior knows once more", file=sys.stderr)
        prepared = lesson.prepare(meshes, start_from, config)
        if minutes is not None:
            config = replace(config, images=_pictures_in(minutes, config, prepared, out, where, compiled))
        for line in _trained(config, prepared, out, where, compiled, about):
            print(line, file=sys.stderr)
    except (Stopped, KeyboardInterrupt) as stopped:
        at = f" at {stopped}, which is saved in {out}" if isinstance(stopped, Stopped) else ""
        print(f"stopped{at}; the same command goes on from what was saved last", file=sys.stderr)
        raise typer.Exit(130) from None
    finally:
        with suppress(OSError):
            out.rmdir()  # if nothing was saved in it
    from df3d_prior import figures

    print("looking at what it learned", file=sys.stderr)
    found = figures.measure(out / "model", prepared, picture=out / "samples.png", device=where)
    print(
        "  ".join(f"{name} {value:.2f}" for name, value in found.items()) + f"; its samples are in {out / 'samples.png'}",
        file=sys.stderr,
    )
    print(out / "model")


def _pictures_in(minutes: float, config: TrainConfig, prepared: Lesson, out: Path, device: str, compiled: bool) -> int:
    """How many pictures a training sees in so many minutes, found by a few steps; what an earlier start found stays."""
    from df3d_prior import train

    if (card := out / "model" / "card.json").is_file():
        import json

        images = int(json.loads(card.read_text(encoding="utf-8"))["images"])
        further = f"to train it further: --start-from {out} --out ANOTHER"
        print(f"note: the training in {out} is finished, with {images:,} pictures; {further}", file=sys.stderr)
        return images
    start = time.perf_counter()
    speed = train.speed(config, prepared.mix, prepared.model, device=device, compiled=compiled)
    left = max(60.0 * minutes - (time.perf_counter() - start), 0.0)
    return max(int(left * speed) // config.batch, 1) * config.batch


def _trained(config: TrainConfig, prepared: Lesson, out: Path, device: str, compiled: bool, about: str) -> Iterator[str]:
    """Train to the end, or until Ctrl-C, with a bar or a line now and then."""
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    from df3d.run import signals
    from df3d_prior import lesson, train

    stop = Event()
    columns = (TextColumn("train"), BarColumn(), TextColumn("{task.completed:.0f}/{task.total:.0f}"),
               TextColumn("{task.fields[measures]}"), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn())  # fmt: skip
    console = Console(stderr=True, highlight=False)
    bar = Progress(*columns, console=console, disable=not console.is_terminal)
    with bar as progress, signals.listening(stop, lambda words: print(words, file=sys.stderr)):
        task = progress.add_task("train", total=config.steps, measures="starting")
        workers = 0 if device == "cpu" else max(1, (os.cpu_count() or 2) - 1)
        steps = train.train(
            config, prepared.mix, prepared.model, out, card=prepared.card, device=device, compiled=compiled, workers=workers,
            also=lambda folder: lesson.finish(prepared, folder), about=about, stop=stop,
        )  # fmt: skip
        for at in steps:
            measures = f"loss {at.loss:.4f}  {at.images_per_second:.0f} images/s"
            progress.update(task, completed=at.step, measures=measures)
            if not console.is_terminal:
                yield f"step {at.step} of {at.steps}: {measures}"


@prior.command()
def draw(
    prompts: list[str] = typer.Argument(..., metavar="PROMPT...", help="What to draw, a row each."),
    prior_: Path | None = typer.Option(None, "--prior", help="Folder of a prior; the shipped one when not given."),
    out: Path = typer.Option(Path("prior.png"), "--out", "-o", help="PNG file to write: each prompt from four sides."),
    seed: int = typer.Option(0, min=0, help="Seed of the noise."),
    device: str = typer.Option("auto", help="`cpu`, `cuda`, or `auto`."),
) -> None:
    """Draw what a prior itself imagines: the pictures that a run will be held against."""
    from PIL import Image

    from df3d.system.devices import check_device
    from df3d_prior import sides
    from df3d_prior.lesson import shipped
    from df3d_prior.prompts import folder_of_path, index_of, notes
    from df3d_prior.sampling import Painter

    if not out.parent.is_dir() or out.suffix.lower() not in (".png", ".webp", ".jpg"):
        raise ConfigError(f"cannot write a picture to `{out}`", "give a .png file in a folder that exists")
    folder = folder_of_path(prior_) if prior_ else shipped()
    index = index_of(folder)
    for note in [note for prompt in prompts for note in notes(prompt, index)]:
        print(f"note: {note}", file=sys.stderr)
    captions = [index.read(prompt).caption for prompt in prompts]
    painter = Painter(folder, device=check_device(device))
    images = painter.draw([c for c in captions if c for _ in sides.AZIMUTHS], *sides.angles(len(prompts)), seed=seed)
    sheet = Image.fromarray(sides.sheet((images.permute(0, 2, 3, 1) * 0.5 + 0.5).numpy()))
    sheet.resize((2 * sheet.width, 2 * sheet.height), Image.Resampling.NEAREST).save(out)
    print(out)
