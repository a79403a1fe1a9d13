"""`df3d generate`: a prompt becomes an asset."""

from __future__ import annotations

import sys
import unicodedata
import webbrowser
from collections.abc import Sequence
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from df3d.cli.context import (
    Debug,
    Device,
    Offline,
    Prior,
    Quiet,
    catalog_of,
    go_offline,
    nobody_listens,
    put,
    put_json,
    say,
    settings_of,
)
from df3d.errors import ConfigError, Df3dError, PromptError, Stopped
from df3d.prompt import Picture
from df3d.schedule import LARGEST_SEED
from df3d.system.files import read_text

if TYPE_CHECKING:
    from df3d.batches.best import Judge
    from df3d.cli.live import LiveView
    from df3d.cli.reporters import Reporter
    from df3d.events import Event
    from df3d.plugin.catalog import Catalog
    from df3d.run.job import Job

Made = list[tuple[Path, Path]]  # run folders and their assets


def generate(
    context: typer.Context,
    prompt: str | None = typer.Argument(None, metavar="PROMPT", help="What to make."),
    recipe: str = typer.Option(
        "auto", "--recipe", "-r", help="A recipe's name or file; `auto` is one that runs on this machine with what is installed."
    ),
    guidance: str | None = typer.Option(None, help="Another guidance plugin than the recipe's."),
    prior: Prior = None,
    set_: list[str] = typer.Option([], "--set", "-s", metavar="KEY=VALUE", help="Change a number of the recipe; repeatable."),
    prompt_file: Path | None = typer.Option(
        None, "--prompt-file", metavar="FILE", help="Read what to make from a text file; `-` is standard input."
    ),
    negative: str = typer.Option("", help="What is not wanted."),
    image: list[str] = typer.Option(
        [], metavar="FILE[@AZIMUTH,ELEVATION]", help="A picture of what is wanted, and the degrees it is seen from; repeatable."
    ),
    mesh: Path | None = typer.Option(None, help="A mesh file to start from."),
    seed: int = typer.Option(0, min=0, max=LARGEST_SEED, help="Seed of every random draw."),
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
    from df3d.api import choose_scorers
    from df3d.run.job import prepare

    go_offline(offline)
    catalog = catalog_of(context)
    settings = settings_of(set_, guidance=guidance, prior=prior, steps=steps)
    job = prepare(
        _text(prompt, prompt_file, quiet), recipe=recipe, settings=settings, negative=_plain(negative),
        pictures=[_picture(text) for text in image], mesh=mesh,
        device=device, vram=vram, resume=resume, until=until, catalog=catalog,
    )  # fmt: skip
    scorers = choose_scorers([best_by.partition(".")[0]], [], catalog)[0] if best_by else {}
    if scorers and (seeds == 1 or until is not None):
        raise ConfigError("--best-by chooses among several finished runs", "add --seeds 4, and leave out --until")
    live = _live_view(quiet) if view else None
    with closing(live) if live else nullcontext():
        from df3d.run.kept import KeptGuidance  # brings torch: not before the prompt and the recipe are known to be right

        kept = KeptGuidance() if seeds > 1 else None
        made, failed = _make_all(replace(job, watch=live, kept=kept), range(seed, seed + seeds), out, json=json, quiet=quiet)
    if scorers:
        from df3d.batches.best import judge

        made = _ranked(made, judge(str(best_by), scorers), catalog, device=job.device, json=json, quiet=quiet)[:1]
    for _, asset in made if not json else ():
        put(asset)
    if failed and not scorers:
        raise typer.Exit(1)


def _make_all(job: Job, seeds: Sequence[int], out: Path | None, *, json: bool, quiet: bool) -> tuple[Made, int]:
    """A run for each seed; returns those that were made, and how many failed."""
    from df3d.run.rundir import default_path

    made: Made = []
    failed = 0
    for number in seeds:
        folder = out or default_path(job.prompt.text, number)
        folder = folder / f"seed{number}" if out and len(seeds) > 1 else folder
        try:
            made.append((folder, _make(job, folder, number, json=json, quiet=quiet)))
        except Df3dError as error:
            if len(seeds) == 1 or (number == seeds[-1] and not made):
                raise
            failed += 1
            if job.kept is not None:
                job.kept.forget()
            say(f"error: seed {number}: {error.message}")
        if job.stop.is_set() and number != seeds[-1]:
            raise _stopped(f"{_again(job)} to make the seeds from {number + 1} on")
    return made, failed


def _make(job: Job, folder: Path, seed: int, *, json: bool, quiet: bool) -> Path:
    """The asset of one seed, or the folder of a run that is paused."""
    from df3d.run import signals

    silent = json or quiet
    try:
        with signals.listening(job.stop, (lambda words: None) if silent else say), _reporter(json, quiet) as reporter:

            def tell(event: Event) -> None:
                try:
                    reporter(event)
                except OSError:
                    if json:
                        nobody_listens()
                    raise

            end = job.run(folder, seed, tell)
    except (Stopped, KeyboardInterrupt):
        raise _stopped(f"{_again(job)} to go on from {folder}") from None
    return getattr(end, "asset", end.run)


def _again(job: Job) -> str:
    """What a person does to go on."""
    option = {None: "again", True: "without --resume", False: "without --fresh"}[job.resume]
    return f"run the same command {option}"


def _stopped(how: str) -> typer.Exit:
    with suppress(OSError):
        say(f"stopped; {how}")
    return typer.Exit(130)


def _ranked(made: Made, judge: Judge, catalog: Catalog, *, device: str, json: bool, quiet: bool) -> Made:
    """Runs, the best one first."""
    from df3d.batches.best import ranked

    assets = dict(made)
    found = ranked(list(assets), judge, catalog, device=device)
    if json:
        rows = [{"run": str(run), "asset": str(assets[run]), judge.measure: value} for run, value in found]
        put_json({"event": "Ranked", "by": judge.measure, "runs": rows})
    elif not quiet:
        for place, (run, value) in enumerate(found, start=1):
            say(f"{place}. {run}: {judge.measure} {value:.4g}")
    return [(run, assets[run]) for run, _ in found]


def _live_view(quiet: bool) -> LiveView:
    from df3d.cli.live import LiveView

    live = LiveView()
    webbrowser.open(live.address)
    _note(f"the field can be seen at {live.address}", quiet)
    return live


def _text(prompt: str | None, file: Path | None, quiet: bool) -> str:
    """The prompt in one line, typed or from a file. No character in a prompt reads a file: prompts come from strangers too."""
    if file is None:
        if prompt is None:
            raise typer.BadParameter("say what to make, or give a --prompt-file")
        if prompt == "-":
            raise PromptError("the prompt is empty", "to read it from standard input write --prompt-file -")
        if prompt.startswith("@") and Path(prompt[1:]).is_file():
            _note(f"the prompt is the text `{prompt}`; to read it from the file write --prompt-file {prompt[1:]}", quiet)
        return _plain(prompt)
    if prompt is not None:
        raise PromptError("there is a prompt and a --prompt-file", "give one of them")
    source = "standard input" if str(file) == "-" else f"`{file}`"
    try:
        text = sys.stdin.read(1 << 20) if str(file) == "-" else read_text(file, 1 << 20)
    except (OSError, UnicodeDecodeError) as error:
        raise PromptError(f"the prompt cannot be read from {source}: {error}", "give text in UTF-8") from None
    text = text.strip()
    if "\n" in text:
        _note(f"the lines of {source} are one prompt; for a list of prompts use `df3d batch`", quiet)
    return _plain(text)


def _plain(text: str) -> str:
    """A text in one line.

    Raises PromptError when it has control characters.
    """
    line = " ".join(text.split())
    if any(unicodedata.category(letter) in ("Cc", "Cs") for letter in line):
        raise PromptError("the prompt has control characters", "type it as plain text")
    return line


def _picture(text: str) -> Picture:
    """`FILE` or `FILE@AZIMUTH,ELEVATION`."""
    path, at, camera = text.rpartition("@")
    if not at or Path(text).exists():
        return Picture(Path(text))
    try:
        azimuth, elevation = (float(number) for number in camera.split(","))
    except ValueError:
        raise PromptError(f"`{camera}` is no camera", "write --image FILE@AZIMUTH,ELEVATION, in degrees") from None
    return Picture(Path(path), azimuth, elevation)


def _note(text: str, quiet: bool) -> None:
    if text and not quiet:
        say(f"note: {text}")


def _reporter(json: bool, quiet: bool) -> Reporter:
    from df3d.cli import reporters

    if json:
        return reporters.JsonReporter()
    if quiet:
        return reporters.QuietReporter()
    return reporters.LiveReporter() if sys.stderr.isatty() else reporters.PlainReporter()
