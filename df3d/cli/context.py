"""What commands share: options, errors for people, tables."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from df3d.errors import Df3dError
from df3d.plugin.catalog import Catalog
from df3d.system.text import json_line, printable
from df3d.types import Asset

# Options that commands have in common.
Device = Annotated[str, typer.Option("--device", help="`cpu`, `cuda`, `cuda:1`, or `auto`.")]
Prior = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="A prior of your own meshes, made by `df3d prior train`; short for --set guidance.model=FOLDER.",
    ),
]
Offline = Annotated[bool, typer.Option("--offline", help="Ask no model hub for anything, as with HF_HUB_OFFLINE=1.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Nothing on stderr but errors, and what is done instead of something.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")]  # `main` looks for it


def settings_of(set_: list[str], *, guidance: str | None = None, prior: Path | None, steps: int | None) -> list[str]:
    """KEY=VALUE of the options that are short forms of `--set`, and of `--set` itself."""
    return [
        *([f"guidance.use={guidance}"] if guidance else []),
        *([f"guidance.model={prior.absolute()}"] if prior else []),
        *set_,
        *([f"steps={steps}"] if steps is not None else []),
    ]


def fail(error: Df3dError) -> int:
    """Say what went wrong and what to do, on stderr; returns the exit code."""
    say(f"error: {error.message}")
    if error.hint:
        say(f"hint: {error.hint}")
    return 1


def say(text: object) -> None:
    """A line for people, on stderr."""
    print(printable(text), file=sys.stderr, flush=True)


def put(result: object) -> None:
    """A line of what was asked for, on stdout: as it is for programs, safe to look at on a terminal."""
    text = str(result)
    print("\n".join(map(printable, text.split("\n"))) if sys.stdout.isatty() else text, flush=True)


def say_notes(path: Path, asset: Asset) -> None:
    """What of a file is not drawn, for people."""
    for note in asset.notes:
        say(f"note: {path}: {note}")


def nobody_listens() -> None:
    """Drop what stdout still holds, and all that follows: else Python's last flush complains to a reader who has gone."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def catalog_of(context: typer.Context) -> Catalog:
    catalog = context.obj
    if not isinstance(catalog, Catalog):
        raise TypeError("a command needs the catalog as its context's object")
    return catalog


def go_offline(asked: bool) -> None:
    """Ask no model hub for anything from now on, if that is asked for."""
    if asked:
        os.environ["HF_HUB_OFFLINE"] = "1"


def put_json(value: object, *, indent: int | None = None) -> None:
    """JSON on stdout, in ASCII where that is not UTF-8."""
    text = json_line(value, indent=indent)
    if not (sys.stdout.encoding or "").lower().startswith("utf"):
        text = "".join(letter if letter.isascii() else json.dumps(letter)[1:-1] for letter in text)
    print(text, flush=True)


class PlainTable(Table):
    """A table whose texts are shown as they are, whatever is in them; `rich.text.Text` has its style."""

    def add_row(self, *cells: object, **options: Any) -> None:
        super().add_row(*(cell if isinstance(cell, Text) else Text(printable(cell)) for cell in cells), **options)


def table(*columns: str) -> PlainTable:
    return PlainTable(*columns, box=None, pad_edge=False, header_style="bold")


def show(*things: object) -> None:
    """Print tables and text for people to stdout, whole lines where it is not a terminal."""
    console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else 10_000)
    for thing in things:
        console.print(thing if isinstance(thing, Table | Text) else Text(printable(thing)))
