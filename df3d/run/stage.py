"""One stage of a run: a field is optimised until its renders satisfy the guidances."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from df3d.errors import PluginError, Stopped
from df3d.events import Event, Notice, Previewed, Saved, StageFinished, StageStarted, Stepped
from df3d.prompt import Prompt
from df3d.protocols import Field, Renderer, Resizable
from df3d.recipe.plan import StagePlan
from df3d.run import pictures
from df3d.run.kept import KeptGuidance
from df3d.run.parts import Parts, build, build_drawing
from df3d.run.recovery import SKIPS, Recovery, bad_gradients, out_of_memory, step_unless_bad
from df3d.run.rundir import RunDir
from df3d.scene.cameras import orbit
from df3d.schedule import Step
from df3d.system.files import replace_atomically
from df3d.types import Asset, RenderOutput, RenderRequest

REPORT_EVERY = 5  # steps between two Stepped events
Watch = Callable[[Field, Renderer, str], None]
Stats = dict[str, torch.Tensor | float]


@dataclass(frozen=True)
class Setting:
    """Where and how a run works, the same for all its stages."""

    run: RunDir
    prompt: Prompt
    device: str
    seed: int
    stop: Callable[[], bool] = lambda: False  # asked between two steps whether to save and end
    watch: Watch | None = None  # may look between two steps
    kept: KeptGuidance | None = None  # guidances of earlier runs


@dataclass
class _Progress:
    """How far a stage has come, and what was last said of it."""

    index: int
    reported: int
    skipped: torch.Tensor
    streak: torch.Tensor  # steps skipped in a row
    mark: float = field(default_factory=time.perf_counter)

    def seconds_per_step(self) -> float:
        """Since this was last asked."""
        now = time.perf_counter()
        seconds = (now - self.mark) / max(self.index - self.reported, 1)
        self.mark, self.reported = now, self.index
        return seconds


def optimise(plan: StagePlan, start: Field | Asset | None, setting: Setting) -> Generator[Event, None, tuple[Field, Renderer]]:
    """Fit one field, going on from the last checkpoint; returns it and its renderer. A finished stage loads no guidance."""
    run, steps, started = setting.run, plan.stage.steps, time.perf_counter()
    begun = bool(run.checkpoints(plan.name).files)
    if begun and run.checkpoints(plan.name).steps_done >= steps:
        field, renderer = build_drawing(plan, device=setting.device, start_from=None, seed=setting.seed)
        done = run.checkpoints(plan.name).restore({"field": field, "renderer": renderer})
        yield StageStarted(plan.name, done, steps)
        return field, renderer
    parts = build(plan, device=setting.device, start_from=None if begun else start, seed=setting.seed, kept=setting.kept)
    first = run.checkpoints(plan.name).restore(parts.trainable(), parts.optimizer)
    yield StageStarted(plan.name, first, steps)
    yield from (Notice(note, instead=True) for note in parts.notes())
    encoded = {name: guidance.encode(setting.prompt) for name, (guidance, _) in parts.guidance.items()}
    recovery = Recovery(**run.recovery(plan.name))
    recovery.apply(parts)
    at = _Progress(first, first, *torch.zeros(2, device=setting.device))
    while at.index < steps:
        if setting.stop():
            yield Saved(run.checkpoints(plan.name).save(at.index, parts.trainable(), parts.optimizer), at.index)
            raise Stopped
        stats = _try_to_advance(plan, parts, encoded, Step(at.index, steps, plan.name, setting.seed), setting.device)
        if stats is None:
            yield Notice(recovery.go_down(parts), instead=True)
            run.remember(plan.name, recovery.table())
            continue
        bad = stats.pop("skipped")
        at.skipped, at.streak = at.skipped + bad, (at.streak + bad) * bad
        at.index += 1
        if setting.watch:
            setting.watch(parts.field, parts.renderer, setting.device)
        if at.index % REPORT_EVERY == 0 or at.index == steps:
            yield _report(plan, at, stats)
            if at.streak >= SKIPS:
                yield Notice(recovery.go_back(parts, plan.name, at.index), instead=True)
                run.remember(plan.name, recovery.table())
                at.index = at.reported = run.checkpoints(plan.name).restore(parts.trainable(), parts.optimizer)
                at.streak = torch.zeros_like(at.streak)
                continue
        yield from _keep(plan, parts, at, setting)
    if setting.kept is not None and recovery.table():
        setting.kept.forget()
    yield StageFinished(plan.name, time.perf_counter() - started)
    return parts.field, parts.renderer


def advance(plan: StagePlan, parts: Parts, encoded: dict[str, Any], step: Step, device: str) -> Stats:
    """One step: sample cameras, render, guide, penalise, descend. Returns what is worth showing, and 1 as "skipped" if it was."""
    for part in parts.trainable().values():
        part.before_step(step)
    parts.renderer.refresh(parts.field, step)
    cameras = parts.cameras.sample(step).to(device)
    request = RenderRequest(step, parts.needs(step, plan.needs))
    render = parts.renderer.render(parts.field, cameras, request)
    check_outputs(render, request, plan)
    terms: list[torch.Tensor] = []
    stats: Stats = {"opacity": render.opacity.detach().mean()}
    for name, (guidance, weight) in parts.guidance.items():
        guided = guidance.step(render, cameras, encoded[name], step)
        terms.append(guided.loss * weight.at(step))
        stats |= guided.stats if len(parts.guidance) == 1 else {f"{name}.{key}": value for key, value in guided.stats.items()}
        stats[f"guidance.{name}"] = guided.loss.detach()
    for name, (penalty, weight, _) in parts.penalties.items():
        if factor := weight.at(step):
            value = penalty(render, parts.field)
            terms.append(factor * value)
            stats[f"penalties.{name}"] = value.detach()
    parts.optimizer.zero_grad(set_to_none=True)
    torch.stack(terms).sum().backward()  # type: ignore[no-untyped-call]
    if isinstance(parts.field, Resizable) and not bad_gradients(parts.optimizer):
        parts.field.after_backward(parts.optimizer, render, step)
    for group in parts.optimizer.param_groups:
        group["lr"] = group["base_lr"] * plan.stage.optimizer.decay.at(step)
    stats["skipped"] = step_unless_bad(parts.optimizer)
    return stats


def check_outputs(render: RenderOutput, request: RenderRequest, plan: StagePlan) -> None:
    """Raises PluginError when a renderer has not put out what its record promises."""
    if missing := [output for output in sorted(request.needs) if getattr(render, output) is None]:
        name = plan.renderer.name if plan.renderer else "?"
        raise PluginError(
            f"renderer `{name}` of stage `{plan.name}` did not put out {', '.join(missing)}, as its record promises",
            "this is a mistake of the plugin: `df3d plugins check` finds it; choose another renderer",
        )


def previewed(draw: Callable[[], list[Path]]) -> list[Event]:
    """Draw pictures; where memory does not suffice for them, the run does without."""
    try:
        return [Previewed(path) for path in draw()]
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return [Notice("out of memory: a picture is left out", instead=True)]


def _try_to_advance(plan: StagePlan, parts: Parts, encoded: dict[str, Any], step: Step, device: str) -> Stats | None:
    """None when memory ran out: out here, where the error no longer holds on to what the step had allocated."""
    try:
        return advance(plan, parts, encoded, step, device)
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
    return None


def _report(plan: StagePlan, at: _Progress, stats: Stats) -> Stepped:
    shown = stats | ({"skipped": at.skipped} if at.skipped else {})
    numbers = {name: float(value) for name, value in shown.items()}
    return Stepped(plan.name, at.index, plan.stage.steps, at.seconds_per_step(), numbers)


def _keep(plan: StagePlan, parts: Parts, at: _Progress, setting: Setting) -> Generator[Event, None, None]:
    """The checkpoint and the picture of a step, where one is due."""
    stage, last = plan.stage, at.index == plan.stage.steps
    if (at.index % stage.save_every == 0 and not at.streak) or last:
        yield Saved(setting.run.checkpoints(plan.name).save(at.index, parts.trainable(), parts.optimizer), at.index)
    if stage.preview_every and (at.index % stage.preview_every == 0 or last):
        path = setting.run.path / plan.name / f"preview-{at.index:06d}.png"
        yield from previewed(partial(_preview, parts, path, setting.device))


def _preview(parts: Parts, path: Path, device: str) -> list[Path]:
    """Four sides of the field as it is, side by side."""
    with torch.no_grad():
        view = parts.renderer.render(parts.field, orbit(4, size=128).to(device), RenderRequest())
    replace_atomically(path, lambda temporary: pictures.sheet(view.rgb, columns=4).save(temporary, "PNG"))
    return [path]
