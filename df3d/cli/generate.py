"""`df3d generate`: a prompt becomes an asset."""

from __future__ import annotations

import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from df3d.cli.context import catalog_of, check_device, choose_recipe
from df3d.compose import check_prompt, check_ready, compose
from df3d.errors import ConfigError, PromptError, RunError, Stopped, did_you_mean
from df3d.prompt import Prompt
from df3d.rundir import RunDir, default_path

if TYPE_CHECKING:
    from df3d.catalog import Catalog
    from df3d.recipe import Recipe
    from df3d.reporters import Reporter


def generate(
    context: typer.Context,
    prompt: str = typer.Argument(..., help="What to make; `-` reads it from standard input, `@FILE` from a file."),
    recipe: str = typer.Option(
        "auto", "--recipe", "-r", help="A recipe's name or file; `auto` is one that runs on this machine with what is installed."
    ),
    guidance: str | None = typer.Option(None, help="Another guidance plugin than the recipe's."),
    set_: list[str] = typer.Option([], "--set", "-s", metavar="KEY=VALUE", help="Change a number of the recipe; repeatable."),
    negative: str = typer.Option("", help="What is not wanted."),
    seed: int = typer.Option(0, min=0, max=2**31 - 1, help="Seed of every random draw."),
    steps: int | None = typer.Option(None, min=1, help="Steps of every stage."),
    until: str | None = typer.Option(None, metavar="STAGE", help="Pause after this stage; the same command without it goes on."),
    out: Path | None = typer.Option(None, "--out", "-o", help="Run folder; by default runs/ and the prompt."),
    device: str = typer.Option("auto", help="`cpu`, `cuda`, `cuda:1`, or `auto`."),
    resume: bool | None = typer.Option(
        None, "--resume/--fresh", help="Insist on going on with a run, or start it anew; by default what is there goes on."
    ),
    json: bool = typer.Option(False, "--json", help="JSON lines on stdout instead of the asset's path."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Nothing on stderr but errors."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Make a 3D asset from a sentence.

    Prints the path of the asset, or with `--until` that of the run. Ctrl-C saves a checkpoint; the same command goes on from it.
    """
    catalog = catalog_of(context)
    wanted = Prompt(" ".join(_text(prompt).split()), negative)
    if not wanted.text.isprintable():
        raise PromptError("the prompt has control characters", "type it as plain text")
    settings = [*([f"guidance.use={guidance}"] if guidance else []), *set_]
    chosen, note = choose_recipe(recipe, settings, steps, catalog)
    plans, full = compose(chosen, catalog)
    if until is not None and until not in (names := [plan.name for plan in plans]):
        raise ConfigError(f"recipe `{chosen.name}` has no stage `{until}`", did_you_mean(until, names))
    check_prompt(plans, wanted.text)
    check_ready(plans)
    path = out or default_path(wanted.text, seed)
    if resume and not (path / "run.json").exists():
        raise RunError(f"there is no run to resume in `{path}`", "leave out --resume to start one")
    where = check_device(device)
    run = RunDir.open(path, prompt=wanted, recipe=full, seed=seed, fresh=resume is False)
    talk = not (json or quiet)
    if note and not quiet:
        print(f"note: {note}", file=sys.stderr)
    try:
        asset = _follow(full, wanted, run, catalog, _reporter(json, quiet), device=where, seed=seed, until=until, talk=talk)
    except (Stopped, KeyboardInterrupt):
        print(f"stopped; run the same command again to go on from {run.path}", file=sys.stderr)
        raise typer.Exit(130) from None
    finally:
        run.close()
    if not json:
        print(asset)


def _text(prompt: str) -> str:
    if prompt == "-":
        return sys.stdin.read()
    if not prompt.startswith("@"):
        return prompt
    try:
        return Path(prompt[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"the prompt cannot be read from `{prompt[1:]}`: {error}", "give a text file after the @") from None


def _follow(
    recipe: Recipe,
    prompt: Prompt,
    run: RunDir,
    catalog: Catalog,
    reporter: Reporter,
    *,
    device: str,
    seed: int,
    until: str | None,
    talk: bool,
) -> Path:
    """Tell the story to everybody who listens; returns the asset, or the run's folder when it is paused.

    The first Ctrl-C or SIGTERM ends the run after its step with a checkpoint, the second one ends it at once.
    """
    from df3d.events import RunFinished, RunPaused
    from df3d.generate import generate as story

    stop = threading.Event()

    def ask_to_stop(number: int, frame: object) -> None:
        if stop.is_set():
            raise KeyboardInterrupt
        stop.set()
        if talk:
            print("stopping after this step; once more to stop at once", file=sys.stderr)

    handlers = {number: signal.signal(number, ask_to_stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with reporter:
            for event in story(recipe, prompt, run, catalog, device=device, seed=seed, until=until, stop=stop.is_set):
                run.log(event)
                catalog.on_event(event)
                reporter(event)
                if isinstance(event, RunFinished):
                    return event.asset
                if isinstance(event, RunPaused):
                    return event.run
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    raise AssertionError("a story ends with RunFinished or RunPaused")


def _reporter(json: bool, quiet: bool) -> Reporter:
    from df3d import reporters

    if json:
        return reporters.JsonReporter()
    if quiet:
        return reporters.QuietReporter()
    return reporters.LiveReporter() if sys.stderr.isatty() else reporters.PlainReporter()
