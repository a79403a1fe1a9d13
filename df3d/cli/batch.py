"""`df3d batch`: many prompts, each with its run."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from df3d.cli.context import Debug, Device, catalog_of, put
from df3d.errors import ConfigError
from df3d.system.files import read_text


def batch(
    context: typer.Context,
    prompts: str = typer.Argument("", metavar="FILE", help="Text file of prompts, a line each, `#` for comments; `-` for stdin."),
    out: Path | None = typer.Option(None, "--out", "-o", help="Folder of all runs."),
    seeds: int = typer.Option(1, min=1, help="Runs of each prompt, with the seeds from 0 on."),
    recipe: str = typer.Option("auto", "--recipe", "-r", help="A recipe's name or file."),
    set_: list[str] = typer.Option([], "--set", "-s", metavar="KEY=VALUE", help="Change a number of the recipe; repeatable."),
    launcher: str = typer.Option("local", help="Where the workers run: `df3d plugins` lists launchers."),
    workers: int = typer.Option(1, min=1, help="How many work at once."),
    worker: Path | None = typer.Option(None, metavar="DIR", help="Be a worker of the batch in this folder."),
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Make an asset of every prompt in a list. The same command does what is left. Prints the paths of the assets."""
    catalog = catalog_of(context)
    if worker is not None:
        from df3d.batches.worker import work

        if work(worker, catalog):
            raise typer.Exit(1)
        return
    if not prompts or out is None:
        raise ConfigError("a batch needs a list of prompts and a folder", "df3d batch FILE --out DIR")
    from df3d import api
    from df3d.recipe.settings import parse_setting

    settings = dict(parse_setting(text) for text in set_)
    made = api.batch(
        _prompts(prompts), out=out, seeds=range(seeds), recipe=recipe, set=settings,
        device=device, launcher=launcher, workers=workers, catalog=catalog,
    )  # fmt: skip
    for run in made:
        put(run.asset)


def _prompts(source: str) -> list[str]:
    """The lines of a list that are prompts.

    Raises ConfigError when it cannot be read or holds none.
    """
    try:
        text = sys.stdin.read(1 << 24) if source == "-" else read_text(Path(source))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the list `{source}` cannot be read: {error}", "give a text file in UTF-8, a prompt a line") from None
    found = [" ".join(line.split()) for line in text.splitlines()]
    prompts = [line for line in found if line and not line.startswith("#")]
    if not prompts:
        raise ConfigError(f"the list `{source}` holds no prompt", "write a prompt a line")
    return prompts
