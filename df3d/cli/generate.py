"""`df3d generate`: a prompt becomes an asset."""

from __future__ import annotations

import json as jsonlib
import os
import signal
import sys
import threading
import webbrowser
from contextlib import closing, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from df3d.cli.context import catalog_of, check_device, choose_recipe, choose_scorers, memory_budget
from df3d.compose import Chosen, check_prompt, check_ready, compose, fit_into
from df3d.errors import ConfigError, Df3dError, PromptError, RunError, Stopped, did_you_mean
from df3d.plugin import ScorerPlugin
from df3d.prompt import Prompt
from df3d.recipe import override
from df3d.rundir import RunDir, default_path

if TYPE_CHECKING:
    from df3d.catalog import Catalog
    from df3d.live import LiveView
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
    seeds: int = typer.Option(1, min=1, help="Make this many, with this seed and the next ones, each in a folder of its own."),
    best_by: str | None = typer.Option(
        None, metavar="SCORER[.MEASURE]", help="With --seeds: score all, print the path of the best."
    ),
    steps: int | None = typer.Option(None, min=1, help="Steps of every stage."),
    until: str | None = typer.Option(None, metavar="STAGE", help="Pause after this stage; the same command without it goes on."),
    out: Path | None = typer.Option(None, "--out", "-o", help="Run folder; by default runs/ and the prompt."),
    device: str = typer.Option("auto", help="`cpu`, `cuda`, `cuda:1`, or `auto`."),
    offline: bool = typer.Option(False, "--offline", help="Ask no model hub for anything, as with HF_HUB_OFFLINE=1."),
    vram: str | None = typer.Option(None, metavar="SIZE", help="Memory to fit into, as in 8G; by default what is free on the GPU."),
    resume: bool | None = typer.Option(
        None, "--resume/--fresh", help="Insist on going on with a run, or start it anew; by default what is there goes on."
    ),
    view: bool = typer.Option(False, "--view", help="Show the field in the browser while it is made (needs viser)."),
    json: bool = typer.Option(False, "--json", help="JSON lines on stdout instead of the asset's path."),
    quiet: bool = typer.Option(False, "--quiet", "-q", help="Nothing on stderr but errors."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Make a 3D asset from a sentence.

    Prints the path of the asset, or with `--until` that of the run. Ctrl-C saves a checkpoint; the same command goes on from it.
    """
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    catalog = catalog_of(context)
    wanted = Prompt(" ".join(_text(prompt).split()), negative)
    if not (wanted.text + wanted.negative).isprintable():
        raise PromptError("the prompt has control characters", "type it as plain text")
    changes = [*([f"guidance.use={guidance}"] if guidance else []), *set_]
    chosen, note = choose_recipe(recipe, changes, steps, catalog, device=device)
    plans, full = compose(chosen, catalog)
    if until is not None and until not in (names := [plan.name for plan in plans]):
        raise ConfigError(f"recipe `{chosen.name}` has no stage `{until}`", did_you_mean(until, names))
    check_prompt(plans, wanted.text)
    check_ready(plans)
    scorers = choose_scorers([best_by.partition(".")[0]], [], catalog, quiet=quiet) if best_by else {}
    if scorers and (seeds == 1 or until is not None):
        raise ConfigError("--best-by chooses among several finished runs", "add --seeds 4, and leave out --until")
    where = check_device(device)
    say = (lambda text: None) if quiet else (lambda text: print(text, file=sys.stderr))
    if note:
        say(f"note: {note}")

    live = _live_view(quiet) if view else None

    def run_with(number: int) -> tuple[Path, Path]:
        """The run folder of a seed, and its asset."""
        path = out or default_path(wanted.text, number)
        if out and seeds > 1:
            path = out / f"seed{number}"
        if resume and not (path / "run.json").exists():
            raise RunError(f"there is no run to resume in `{path}`", "leave out --resume to start one")
        # what was free when the run began is no reason to refuse to go on with it
        if vram is None and resume is not False and (path / "run.toml").exists():
            settings = RunDir.existing(path).manifest().get("fit", [])
        else:
            settings, given_up = fit_into(plans, memory_budget(vram, where))
            for text in given_up:
                say(f"note: {text}")
        fitting = compose(override(full, settings, catalog), catalog)[1]
        run = RunDir.open(path, prompt=wanted, recipe=fitting, seed=number, fresh=resume is False)
        talk = not (json or quiet)
        try:
            if settings:
                run.update_manifest({"fit": settings})
            return path, _follow(
                fitting, wanted, run, catalog, _reporter(json, quiet), device=where, seed=number, until=until, talk=talk, live=live
            )
        except (Stopped, KeyboardInterrupt):
            print(f"stopped; run the same command again to go on from {run.path}", file=sys.stderr)
            raise typer.Exit(130) from None
        finally:
            run.close()

    with closing(live) if live else nullcontext():
        made, failed = [], 0
        for number in range(seed, seed + seeds):
            try:
                made.append(run_with(number))
            except Df3dError as error:
                if seeds == 1 or (number == seed + seeds - 1 and not made):
                    raise
                failed += 1
                print(f"error: seed {number}: {error.message}", file=sys.stderr)
    if scorers:
        made = _ranked(made, str(best_by), scorers, catalog, device=where, json=json, quiet=quiet)[:1]
    if not json:
        for _, asset in made:
            print(asset)
    if failed and not scorers:
        raise typer.Exit(1)


def _ranked(
    made: list[tuple[Path, Path]],
    by: str,
    scorers: dict[str, Chosen],
    catalog: Catalog,
    *,
    device: str,
    json: bool,
    quiet: bool,
) -> list[tuple[Path, Path]]:
    """Runs, the best one first, by a measure of the scorer, its first headline if none is named; each keeps its scores.json.

    Raises RunError when none could be scored.
    """
    from df3d import evaluate

    ((name, chosen),) = scorers.items()
    assert isinstance(chosen.plugin, ScorerPlugin)
    wanted = by.partition(".")[2] or chosen.plugin.headline[0]
    measure, sign = f"{name}.{wanted}", -1 if wanted in chosen.plugin.lower else 1
    targets = evaluate.find_targets([path for path, _ in made], catalog)
    results = list(evaluate.evaluate(targets, {name: chosen.build(device=device)}, catalog, device=device))
    scored = [(result.scores[measure], both) for result, both in zip(results, made, strict=True) if measure in result.scores]
    if not scored:
        why = results[0].problems.get(name, f"its measures are {', '.join(key.split('.')[1] for key in results[0].scores)}")
        raise RunError(f"no run has a score `{measure}`: {why}", "choose another with --best-by")
    scored.sort(key=lambda pair: -sign * pair[0])
    if json:
        rows = [{"run": str(path), "asset": str(asset), measure: value} for value, (path, asset) in scored]
        print(jsonlib.dumps({"event": "Ranked", "by": measure, "runs": rows}))
    elif not quiet:
        for place, (value, (path, _)) in enumerate(scored, start=1):
            print(f"{place}. {path}: {measure} {value:.4g}", file=sys.stderr)
    return [both for _, both in scored]


def _live_view(quiet: bool) -> LiveView:
    from df3d.live import LiveView

    live = LiveView()
    webbrowser.open(live.address)
    if not quiet:
        print(f"note: the field can be seen at {live.address}", file=sys.stderr)
    return live


def _text(prompt: str) -> str:
    if prompt != "-" and not prompt.startswith("@"):
        return prompt
    source = "standard input" if prompt == "-" else f"`{prompt[1:]}`"
    try:
        return sys.stdin.read() if prompt == "-" else Path(prompt[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"the prompt cannot be read from {source}: {error}", "give text in UTF-8") from None


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
    live: LiveView | None,
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
            for event in story(recipe, prompt, run, catalog, device=device, seed=seed, until=until, stop=stop.is_set, watch=live):
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
