"""`df3d batch`: many prompts, each with its run."""

from __future__ import annotations

import os
import re
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from df3d.cli.context import Debug, Device, Offline, Prior, catalog_of, go_offline, put_json, say, settings_of, show, table
from df3d.errors import ConfigError, Stopped
from df3d.system.files import read_text

if TYPE_CHECKING:
    from df3d.batches.make import Crew
    from df3d.batches.plan import Batch
    from df3d.plugin.catalog import Catalog

Folder = typer.Argument(..., help="The batch's folder.")
UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


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
    best_by: str | None = typer.Option(
        None, metavar="SCORER[.MEASURE]", help="Score all, print the path of the best of each prompt."
    ),
    recipe: str = typer.Option("auto", "--recipe", "-r", help="A recipe's name or file."),
    prior: Prior = None,
    set_: list[str] = typer.Option([], "--set", "-s", metavar="KEY=VALUE", help="Change a number of the recipe; repeatable."),
    steps: int | None = typer.Option(None, min=0, help="Of every stage."),
    launcher: str = typer.Option("local", help="Where the workers run: `df3d plugins` lists launchers."),
    launch: list[str] = typer.Option([], metavar="KEY=VALUE", help="Set an option of the launcher; repeatable."),
    workers: int = typer.Option(0, min=0, help="How many work at once; 0: one for each GPU, or without one for each core."),
    gpus_per_worker: float | None = typer.Option(None, min=0, help="GPUs of each worker; 0.5 lets two share one."),
    workers_per_gpu: int | None = typer.Option(None, min=1, help="Workers that share a GPU."),
    retries: int = typer.Option(2, min=0, help="How often a run that failed is tried again."),
    timeout: str | None = typer.Option(None, metavar="TIME", help="Longest time for one try at a run, as in 90s, 30m or 2h."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show what would be made, and how long it may take."),
    json: bool = typer.Option(False, "--json", help="A JSON object a run on stdout instead of the assets' paths."),
    worker: Path | None = typer.Option(None, metavar="DIR", help="Be a worker of the batch in this folder."),
    names: bool = typer.Option(
        False, "--names", hidden=True, help="As a worker: make the runs whose folders stdin names, one a line."
    ),
    device: Device = "auto",
    offline: Offline = False,
    debug: Debug = False,
) -> None:
    """Make an asset of every prompt in a list. The same command does what is left. Prints the paths of the assets."""
    catalog = catalog_of(context)
    go_offline(offline)
    seconds = _seconds(timeout)
    if worker is not None:
        _work(worker, catalog, retries=retries, timeout=seconds, names=names)
        return
    if not prompts or out is None:
        raise ConfigError("a batch needs a list of prompts and a folder", "df3d batch FILE --out DIR")
    from df3d.api import chooser
    from df3d.batches import lists, plan
    from df3d.batches.make import crew

    if workers_per_gpu is not None:
        if gpus_per_worker is not None:
            raise ConfigError("--gpus-per-worker and --workers-per-gpu say the same thing", "give one of them")
        gpus_per_worker = 1 / workers_per_gpu
    told = crew(catalog, launcher, launch, gpus=gpus_per_worker, workers=workers, retries=retries, timeout=seconds)
    settings = settings_of(set_, prior=prior, steps=steps)
    mistakes = lists.Mistakes(prompts)
    listed = plan.planned(lists.read(_text(prompts), mistakes), range(seeds), recipe, settings, device, catalog, mistakes)
    choose = chooser(best_by, out, catalog, device=device)
    if dry_run:
        _forecast(listed, out, told, catalog, json=json)
        return
    _make(listed, out, told, choose, best_by=best_by, json=json)


def _make(listed: Batch, out: Path, told: Crew, choose: Any, *, best_by: str | None, json: bool) -> None:
    """Make the batch and show how it goes; ends with the exit code of what came of it."""
    from df3d.batches.make import check_all_done
    from df3d.batches.make import make as make_all
    from df3d.cli.batch_view import BatchView
    from df3d.run import signals

    stop = threading.Event()
    with BatchView(out, tell=not best_by, json=json) as view, signals.listening(stop, _stopping):
        try:
            found = make_all(listed, out, told, choose=choose, on_wait=view.look, stop=stop)
        except (Stopped, KeyboardInterrupt):
            view.finish()
            say("stopped; run the same command again to do what is left")
            raise typer.Exit(130) from None
        view.finish(found)
    check_all_done(found)


def _stopping(words: str) -> None:
    say("stopping: the runs in work save a checkpoint; once more to stop at once")


def _work(folder: Path, catalog: Catalog, *, retries: int, timeout: float | None, names: bool) -> None:
    """Be a worker; a process that is spoiled makes place for a new one."""
    from df3d.batches.worker import REPLACE, Spoiled, Worker

    worker = Worker(folder, catalog, retries=retries, timeout=timeout)
    try:
        for name in worker.work(map(str.strip, sys.stdin) if names else None):
            if names:
                print(name, flush=True)
        if worker.left():
            raise typer.Exit(1)
    except (Stopped, KeyboardInterrupt):
        raise typer.Exit(130) from None
    except Spoiled:
        if names:
            raise typer.Exit(REPLACE) from None
        os.execv(sys.executable, [sys.executable, "-m", "df3d", *sys.argv[1:]])  # noqa: S606


@batch.command()
def status(
    folder: Path = Folder, json: bool = typer.Option(False, "--json", help="A JSON object a run."), debug: Debug = False
) -> None:
    """Show what became of each run of a batch, and what its workers do."""
    from df3d.batches import summary
    from df3d.cli.batch_view import doing_table

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
    if (now := doing_table(folder)).rows:
        show(now)
    say(summary.counted(found))


@batch.command()
def retry(folder: Path = Folder, debug: Debug = False) -> None:
    """Forget the failures of a batch, so that the command that made it tries its failed runs again."""
    from df3d.batches import attempts

    count = attempts.forget(folder)
    say(f"{count} failed runs will be tried again by the same `df3d batch FILE --out {folder}`")


def _forecast(batch: Batch, out: Path, told: Crew, catalog: Catalog, *, json: bool) -> None:
    from df3d.batches import summary
    from df3d.batches.forecast import forecast
    from df3d.batches.plan import NAME

    rows = [{"prompt": r.prompt, "seed": r.seed, "recipe": r.recipe or batch.recipe, "folder": r.folder} for r in batch.rows]
    if json:
        for row in rows:
            put_json(row)
        return
    shown = table(*rows[0])
    for row in rows[:20]:
        shown.add_row(*map(str, row.values()))
    show(shown)
    done = [state for state in summary.states(out) if state.state == "done"] if (out / NAME).exists() else []
    left, workers = len(rows) - len(done), told.count(len(rows))
    say(f"{len(rows)} runs, {left} to make, {workers} at once: {forecast(batch, out, done, left, workers, catalog)}")


def _seconds(text: str | None) -> float | None:
    """`90s`, `30m`, `2h`, `1d`, or seconds.

    Raises ConfigError when it is no such time.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhd]?)", text.strip())
    if not found or not float(found[1]):
        raise ConfigError(f"`{text}` is not a time", "write for example --timeout 2h")
    return float(found[1]) * UNITS[found[2] or "s"]


def _text(source: str) -> str:
    """What a list holds.

    Raises ConfigError when it cannot be read.
    """
    try:
        return sys.stdin.read(1 << 26) if source == "-" else read_text(Path(source), 1 << 26)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the list `{source}` cannot be read: {error}", "give a text file in UTF-8, a prompt a line") from None
