"""One run as a person asks for it: checked, in its folder, within the memory there is, told to everybody who listens."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from df3d.errors import ConfigError, PluginError, RunError, did_you_mean
from df3d.events import Event, Notice, RunFinished, RunPaused
from df3d.plugin.catalog import Catalog
from df3d.prompt import Picture, Prompt
from df3d.recipe import auto
from df3d.recipe.checks import check_prompt, check_ready
from df3d.recipe.compose import compose
from df3d.recipe.memory import Settings, applied, fit_into
from df3d.recipe.plan import Plan
from df3d.recipe.recipe import find
from df3d.recipe.settings import override, parse_setting
from df3d.run.rundir import RunDir
from df3d.schedule import LARGEST_SEED
from df3d.system import devices
from df3d.system.images import pixels

if TYPE_CHECKING:
    from df3d.protocols import Field, Renderer
    from df3d.run.kept import KeptGuidance

Tell = Callable[[Event], object]


@dataclass(frozen=True, kw_only=True)
class Job:
    """What all seeds of a prompt have in common."""

    prompt: Prompt
    plan: Plan
    catalog: Catalog
    device: str
    vram: str | None = None
    resume: bool | None = None  # True: go on with a run; False: start it anew; None: whatever is there
    until: str | None = None
    watch: Callable[[Field, Renderer, str], None] | None = None
    notes: tuple[Notice, ...] = ()  # what was decided before it began
    kept: KeptGuidance | None = None  # guidances of earlier runs
    stop: threading.Event = field(default_factory=threading.Event)  # ends the run after its step

    def run(self, folder: Path, seed: int, tell: Tell) -> RunFinished | RunPaused:
        """Make the asset of a seed in its folder, or go on there; `tell` hears what happens.

        Raises Stopped when `stop` is set, with a checkpoint saved. A listener whose pipe is closed stops the run too.
        """
        if not 0 <= seed <= LARGEST_SEED:
            raise ConfigError(f"a seed is a whole number from 0 to {LARGEST_SEED:,}, not {seed:,}", "choose another seed")
        if self.resume and not (folder / "run.json").exists():
            raise RunError(f"there is no run to resume in `{folder}`", "leave out --resume to start one")
        settings, notes = self._fitting(folder)
        try:
            plan = applied(self.plan, settings)
        except (LookupError, StopIteration):
            raise RunError(
                f"`{folder / 'run.json'}` is damaged: its `fit` is of another recipe", "start anew with --fresh"
            ) from None
        run = RunDir.open(folder, self.catalog, prompt=self.prompt, plan=plan, seed=seed, fresh=self.resume is False)
        try:
            if settings:
                run.update_manifest({"fit": settings})
            return self._follow(plan, run, seed, tell, [*notes, *filter(None, [run.note])])
        finally:
            run.close()

    def _fitting(self, folder: Path) -> tuple[Settings, list[str]]:
        """The settings with which the run fits into memory: those it began with, whatever is free now, or new ones."""
        if self.vram is None and self.resume is not False and (folder / "run.toml").exists():
            return [(path, value) for path, value in RunDir.existing(folder).manifest().get("fit", [])], []
        return fit_into(self.plan, devices.memory_budget(self.vram, self.device))

    def _follow(self, plan: Plan, run: RunDir, seed: int, tell: Tell, notes: list[str]) -> RunFinished | RunPaused:
        """Tell the story to everybody who listens."""
        from df3d.run.generate import generate

        def story() -> Iterator[Event]:
            yield from self.notes
            yield from (Notice(note, instead=True) for note in notes)
            yield from generate(
                plan, self.prompt, run, self.catalog,
                device=self.device, seed=seed, until=self.until, stop=self.stop.is_set, watch=self.watch, kept=self.kept,
            )  # fmt: skip

        listening, finished = True, run.asset() is not None  # one that was finished before has nothing to log
        for event in _unstopped(story()):
            if not finished:
                run.log(event)
            for problem in self.catalog.on_event(event):
                run.log(told := Notice(problem, instead=True))
                tell(told)
            if listening:
                try:
                    tell(event)
                except OSError:  # a terminal or a pipe that went away
                    self.stop.set()
                    listening = False
            if isinstance(event, RunFinished | RunPaused):
                return event
        raise AssertionError("a story ends with RunFinished or RunPaused")


def _unstopped(story: Iterator[Event]) -> Iterator[Event]:
    """The same story; a part that would end the whole program ends the run alone."""
    try:
        yield from story
    except SystemExit as error:
        raise PluginError(f"a part ended the run: SystemExit {error}", "see which with --debug, and tell its author") from error


def prepare(
    prompt: str,
    *,
    recipe: str = "auto",
    settings: Sequence[str] = (),
    negative: str = "",
    pictures: Sequence[Picture] = (),
    mesh: Path | str | None = None,
    device: str = "auto",
    vram: str | None = None,
    resume: bool | None = None,
    until: str | None = None,
    catalog: Catalog | None = None,
) -> Job:
    """Check everything about a run before anything heavy is loaded.

    `settings` are texts KEY=VALUE. Raises a Df3dError for the first mistake.
    """
    catalog = catalog or Catalog.discover()
    wanted = Prompt(prompt, negative, tuple(pictures), None if mesh is None else Path(mesh))
    for picture in wanted.pictures:
        pixels(picture)
    if wanted.mesh:
        wanted.record()
    plan, note = choose_plan(recipe, [parse_setting(text) for text in settings], catalog, device=device)
    if until is not None and until not in (names := [stage.name for stage in plan.stages]):
        raise ConfigError(f"recipe `{plan.recipe.name}` has no stage `{until}`", did_you_mean(until, names))
    check_prompt(plan, wanted)
    check_ready(plan)
    where = devices.check_device(device)
    notes = (note,) if note else ()
    return Job(prompt=wanted, plan=plan, catalog=catalog, device=where, vram=vram, resume=resume, until=until, notes=notes)


def choose_plan(
    name: str, settings: Sequence[tuple[str, Any]], catalog: Catalog, *, device: str = "auto"
) -> tuple[Plan, Notice | None]:
    """The plan of a recipe with settings applied, and a notice of what `auto` picked for the device."""
    if name != "auto":
        return compose(override(find(name, catalog), settings, catalog), catalog), None
    kind, why = devices.expected(device)
    return auto.choose(catalog, settings, device=kind, why=why)
