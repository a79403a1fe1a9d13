"""`df3d generate`: a prompt becomes an asset."""

from __future__ import annotations

import json as jsonlib
import os
import signal
import sys
import threading
import unicodedata
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from df3d.cli.context import (
    Debug,
    Device,
    Offline,
    Quiet,
    catalog_of,
    check_device,
    choose_recipe,
    choose_scorers,
    memory_budget,
    nobody_listens,
)
from df3d.compose import Chosen, check_prompt, check_ready, compose, fit_into
from df3d.errors import ConfigError, Df3dError, PromptError, RunError, Stopped, did_you_mean
from df3d.plugin import ScorerPlugin
from df3d.prompt import Prompt
from df3d.recipe import override
from df3d.rundir import RunDir, default_path

if TYPE_CHECKING:
    from df3d.catalog import Catalog
    from df3d.compose import StagePlan
    from df3d.events import Event
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
    device: Device = "auto",
    offline: Offline = False,
    vram: str | None = typer.Option(None, metavar="SIZE", help="Memory to fit into, as in 8G; by default what is free on the GPU."),
    resume: bool | None = typer.Option(
        None, "--resume/--fresh", help="Insist on going on with a run, or start it anew; by default what is there goes on."
    ),
    view: bool = typer.Option(False, "--view", help="Show the field in the browser while it is made (needs viser)."),
    json: bool = typer.Option(False, "--json", help="JSON lines on stdout instead of the asset's path."),
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Make a 3D asset from a sentence.

    Prints the path of the asset, or with `--until` that of the run. Ctrl-C saves a checkpoint; the same command goes on from it.
    """
    if offline:
        os.environ["HF_HUB_OFFLINE"] = "1"
    catalog = catalog_of(context)
    wanted = Prompt(_text(prompt, quiet), " ".join(negative.split()))
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in wanted.text + wanted.negative):
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
    if note and not quiet:
        print(f"note: {note}", file=sys.stderr)
    live = _live_view(quiet) if view else None
    job = _Job(
        prompt=wanted, recipe=full, plans=plans, catalog=catalog, device=where,
        vram=vram, resume=resume, until=until, live=live, json=json, quiet=quiet,
    )  # fmt: skip

    made, failed = [], 0
    with closing(live) if live else nullcontext():
        for number in range(seed, seed + seeds):
            folder = out or default_path(wanted.text, number)
            folder = folder / f"seed{number}" if out and seeds > 1 else folder
            try:
                made.append((folder, job.run(folder, number)))
            except Df3dError as error:
                if seeds == 1 or (number == seed + seeds - 1 and not made):
                    raise
                failed += 1
                print(f"error: seed {number}: {error.message}", file=sys.stderr)
            if job.stop.is_set() and number < seed + seeds - 1:
                raise _stopped(f"{job.again()} to make the seeds from {number + 1} on")
    if scorers:
        made = _ranked(made, str(best_by), scorers, catalog, device=where, json=json, quiet=quiet)[:1]
    if not json:
        for _, asset in made:
            print(asset)
    if failed and not scorers:
        raise typer.Exit(1)


@dataclass(frozen=True, kw_only=True)
class _Job:
    """What all seeds of a command have in common."""

    prompt: Prompt
    recipe: Recipe
    plans: list[StagePlan]
    catalog: Catalog
    device: str
    vram: str | None
    resume: bool | None
    until: str | None
    live: LiveView | None
    json: bool
    quiet: bool
    stop: threading.Event = field(default_factory=threading.Event)  # set by the first Ctrl-C

    def run(self, folder: Path, seed: int) -> Path:
        """Make the asset of a seed in its folder, or go on there; returns it, or the folder when the run is paused."""
        if self.resume and not (folder / "run.json").exists():
            raise RunError(f"there is no run to resume in `{folder}`", "leave out --resume to start one")
        settings = self._fitting(folder)
        recipe = compose(override(self.recipe, settings, self.catalog), self.catalog)[1]
        run = RunDir.open(folder, prompt=self.prompt, recipe=recipe, seed=seed, fresh=self.resume is False)
        try:
            if settings:
                run.update_manifest({"fit": settings})
            return self._follow(run, recipe, seed)
        except (Stopped, KeyboardInterrupt):
            raise _stopped(f"{self.again()} to go on from {folder}") from None
        finally:
            run.close()

    def again(self) -> str:
        """What a person does to go on."""
        option = {None: "again", True: "without --resume", False: "without --fresh"}[self.resume]
        return f"run the same command {option}"

    def _fitting(self, folder: Path) -> list[tuple[str, Any]]:
        """The settings with which the run fits into memory: those it began with, whatever is free now, or new ones."""
        if self.vram is None and self.resume is not False and (folder / "run.toml").exists():
            return list(RunDir.existing(folder).manifest().get("fit", []))
        settings, given_up = fit_into(self.plans, memory_budget(self.vram, self.device))
        for text in () if self.quiet else given_up:
            print(f"note: {text}", file=sys.stderr)
        return settings

    def _follow(self, run: RunDir, recipe: Recipe, seed: int) -> Path:
        """Tell the story to everybody who listens.

        The first Ctrl-C, or a terminal or pipe that goes away, ends the run after its step with a checkpoint; the second
        Ctrl-C ends it at once.
        """
        from df3d.events import RunFinished, RunPaused
        from df3d.generate import generate as story
        from df3d.reporters import QuietReporter

        events = story(
            recipe, self.prompt, run, self.catalog,
            device=self.device, seed=seed, until=self.until, stop=self.stop.is_set, watch=self.live,
        )  # fmt: skip
        with _signals(self._ask_to_stop), _reporter(self.json, self.quiet) as reporter:
            tell: Callable[[Event], None] = reporter
            for event in events:
                run.log(event)
                self.catalog.on_event(event)
                try:
                    tell(event)
                except OSError:
                    if self.json:
                        nobody_listens()
                    self.stop.set()
                    tell = QuietReporter()
                if isinstance(event, RunFinished):
                    return event.asset
                if isinstance(event, RunPaused):
                    return event.run
        raise AssertionError("a story ends with RunFinished or RunPaused")

    def _ask_to_stop(self, number: int, frame: object) -> None:
        if self.stop.is_set():
            if number in (signal.SIGINT, signal.SIGTERM):
                raise KeyboardInterrupt
            return  # a terminal that closes says so twice
        self.stop.set()
        if not (self.json or self.quiet):
            with suppress(OSError):
                print("stopping after this step; once more to stop at once", file=sys.stderr)


@contextmanager
def _signals(handler: Callable[[int, object], None]) -> Iterator[None]:
    """Give the signals that end a run to `handler`, except those that are ignored, as `nohup` has it."""
    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [number for name in names if signal.getsignal(number := getattr(signal, name)) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _stopped(how: str) -> typer.Exit:
    with suppress(OSError):
        print(f"stopped; {how}", file=sys.stderr)
    return typer.Exit(130)


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
    from df3d.targets import find_targets

    ((name, chosen),) = scorers.items()
    assert isinstance(chosen.plugin, ScorerPlugin)
    wanted = by.partition(".")[2] or chosen.plugin.headline[0]
    measure, sign = f"{name}.{wanted}", -1 if wanted in chosen.plugin.lower else 1
    targets = find_targets([path for path, _ in made], catalog)
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


def _text(prompt: str, quiet: bool) -> str:
    """The prompt in one line, wherever it stands."""
    if prompt != "-" and not prompt.startswith("@"):
        return " ".join(prompt.split())
    source = "standard input" if prompt == "-" else f"`{prompt[1:]}`"
    try:
        text = sys.stdin.read() if prompt == "-" else Path(prompt[1:]).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"the prompt cannot be read from {source}: {error}", "give text in UTF-8") from None
    text = text.removeprefix("\ufeff").strip()
    if "\n" in text and not quiet:
        print(f"note: the lines of {source} are one prompt; for a list of prompts, run the command for each", file=sys.stderr)
    return " ".join(text.split())


def _reporter(json: bool, quiet: bool) -> Reporter:
    from df3d import reporters

    if json:
        return reporters.JsonReporter()
    if quiet:
        return reporters.QuietReporter()
    return reporters.LiveReporter() if sys.stderr.isatty() else reporters.PlainReporter()
