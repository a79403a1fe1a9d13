"""`df3d batch`: many prompts, each with its run."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from df3d.cli.context import Debug, Device, catalog_of, put, put_json, say, show, table
from df3d.errors import ConfigError, Stopped
from df3d.system.files import read_text

if TYPE_CHECKING:
    from df3d.batches.plan import Batch
    from df3d.batches.summary import State

Folder = typer.Argument(..., help="The batch's folder.")
EVERY = 5.0  # seconds between two looks at how far the runs are


class _Group(TyperGroup):
    """`df3d batch FILE` is `df3d batch make FILE`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "-h"):
            args = ["make", *args]
        return super().parse_args(ctx, args)


batch = typer.Typer(cls=_Group, no_args_is_help=True, help="Make an asset of every prompt in a list: df3d batch FILE --out DIR.")


@batch.command()
def make(
    context: typer.Context,
    prompts: str = typer.Argument(
        "", metavar="FILE", help="Prompts a line each, CSV or JSON lines (prompt, negative, seed, recipe, set, out); `-` for stdin."
    ),
    out: Path | None = typer.Option(None, "--out", "-o", help="Folder of all runs."),
    seeds: int = typer.Option(1, min=1, help="Runs of each prompt, with the seeds from 0 on."),
    recipe: str = typer.Option("auto", "--recipe", "-r", help="A recipe's name or file."),
    set_: list[str] = typer.Option([], "--set", "-s", metavar="KEY=VALUE", help="Change a number of the recipe; repeatable."),
    steps: int | None = typer.Option(None, min=0, help="Of every stage."),
    launcher: str = typer.Option("local", help="Where the workers run: `df3d plugins` lists launchers."),
    workers: int = typer.Option(1, min=1, help="How many work at once."),
    retries: int = typer.Option(2, min=0, help="How often a run that failed is tried again."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show what would be made, and how long it may take."),
    json: bool = typer.Option(False, "--json", help="A JSON object a run on stdout instead of the assets' paths."),
    worker: Path | None = typer.Option(None, metavar="DIR", help="Be a worker of the batch in this folder."),
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Make an asset of every prompt in a list. The same command does what is left. Prints the paths of the assets."""
    catalog = catalog_of(context)
    if worker is not None:
        from df3d.batches.worker import work

        try:
            if work(worker, catalog, retries=retries):
                raise typer.Exit(1)
        except Stopped:
            raise typer.Exit(130) from None
        return
    if not prompts or out is None:
        raise ConfigError("a batch needs a list of prompts and a folder", "df3d batch FILE --out DIR")
    from df3d.batches import lists, plan, summary
    from df3d.batches.make import make as make_all
    from df3d.run.rundir import RunDir

    catalog.launchers.get(launcher)
    settings = [*set_, *([f"steps={steps}"] if steps is not None else [])]
    mistakes = lists.Mistakes(prompts)
    listed = plan.planned(lists.read(_text(prompts), mistakes), range(seeds), recipe, settings, device, catalog, mistakes)
    if dry_run:
        _forecast(listed, out, workers, json=json)
        return
    watch = _Watch(out)
    try:
        make_all(listed, out, catalog, launcher=launcher, workers=workers, retries=retries, on_wait=watch)
    finally:
        if (out / summary.TABLE).exists():
            for state in watch.tell():
                if json:
                    put_json(state.table())
                elif state.state == "done":
                    put(RunDir(out / state.row.folder).asset())


@batch.command()
def status(
    folder: Path = Folder, json: bool = typer.Option(False, "--json", help="A JSON object a run."), debug: Debug = False
) -> None:
    """Show what became of each run of a batch."""
    from df3d.batches import summary

    found = summary.states(folder)
    if json:
        for state in found:
            put_json(state.table())
        return
    rows = table("state", "prompt", "seed", "what")
    for state in found:
        what = state.message or (f"{state.seconds:.0f} s" if state.seconds else "")
        rows.add_row(state.state, state.row.prompt, str(state.row.seed), what)
    show(rows)
    say(summary.counted(found))


@batch.command()
def retry(folder: Path = Folder, debug: Debug = False) -> None:
    """Forget the failures of a batch, so that the command that made it tries its failed runs again."""
    from df3d.batches import plan, worker

    plan.load(folder)
    count = worker.forget_failures(folder)
    say(f"{count} failed runs will be tried again by the same `df3d batch FILE --out {folder}`")


class _Watch:
    """Says on stderr how far the runs are, when that has changed."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._next, self._told = folder, time.monotonic() + EVERY, ""

    def __call__(self) -> None:
        if time.monotonic() >= self._next:
            began = time.monotonic()
            self.tell()
            self._next = time.monotonic() + max(EVERY, 20 * (time.monotonic() - began))

    def tell(self) -> list[State]:
        """Returns the runs as they are."""
        from df3d.batches import summary

        found = summary.states(self._folder)
        if (text := summary.counted(found)) != self._told:
            say(text)
            self._told = text
        return found


def _forecast(batch: Batch, out: Path, workers: int, *, json: bool) -> None:
    from df3d.batches import summary

    rows = [{"prompt": r.prompt, "seed": r.seed, "recipe": batch.recipe_of(r), "folder": r.folder} for r in batch.rows]
    if json:
        for row in rows:
            put_json(row)
        return
    shown = table(*rows[0])
    for row in rows[:20]:
        shown.add_row(*map(str, row.values()))
    show(shown)
    done = summary.states(out) if (out / "batch.json").exists() else []
    took = [state.seconds for state in done if state.state == "done" and state.seconds]
    left = len(rows) - sum(state.state == "done" for state in done)
    time_left = "how long that takes is told by the first of them"
    if took:
        minutes = sum(took) / len(took) * left / workers / 60
        time_left = f"about {minutes:.0f} minutes at the pace of the {len(took)} that are done"
    say(f"{len(rows)} runs, {left} to make, {workers} at once: {time_left}")


def _text(source: str) -> str:
    """What a list holds.

    Raises ConfigError when it cannot be read.
    """
    try:
        return sys.stdin.read(1 << 26) if source == "-" else read_text(Path(source), 1 << 26)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the list `{source}` cannot be read: {error}", "give a text file in UTF-8, a prompt a line") from None
