"""The story of a run: a prompt becomes a field, stage by stage, and the field an asset."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from functools import partial
from pathlib import Path

import torch

from df3d import cameras, checkpoint, cpu, machine, pictures
from df3d.catalog import Catalog
from df3d.compose import Parts, StagePlan, check_prompt, check_ready, compose
from df3d.errors import Stopped
from df3d.events import (
    Event,
    Exporting,
    Notice,
    Previewed,
    RunFinished,
    RunPaused,
    RunStarted,
    Saved,
    StageFinished,
    StageStarted,
    Stepped,
)
from df3d.export import export, suffix_of
from df3d.interfaces import Field, Renderer
from df3d.losses import penalties
from df3d.prompt import Prompt
from df3d.provenance import origin, versions
from df3d.recipe import Recipe
from df3d.recovery import SKIPS, Recovery, out_of_memory, step_unless_bad
from df3d.rundir import RunDir
from df3d.schedule import Step

REPORT_EVERY = 5  # steps between two Stepped events


def generate(
    recipe: Recipe,
    prompt: Prompt,
    run: RunDir,
    catalog: Catalog,
    *,
    device: str = "cpu",
    seed: int = 0,
    until: str | None = None,
    stop: Callable[[], bool] = lambda: False,
    watch: Callable[[Field, Renderer, str], None] | None = None,
) -> Iterator[Event]:
    """Take a prompt to an asset in the folder of `run`; one that is finished is left as it is.

    Yields events and prints nothing. The last one is RunFinished or, when `until` names an earlier stage, RunPaused after it.

    Between two steps `stop()` is asked whether to save a checkpoint and raise Stopped, and `watch(field, renderer, device)`
    may look.
    """
    started = time.perf_counter()
    machine.keep_freed_memory()
    if (asset := run.asset()) is not None:
        yield RunFinished(run.path, asset, 0.0, (str(asset),))
        return
    plans, recipe = compose(recipe, catalog)
    notes = check_prompt(plans, prompt.text)
    check_ready(plans)
    run.update_manifest(
        {
            "prompt": prompt.text,
            "negative": prompt.negative,
            "seed": seed,
            "recipe": recipe.name,
            "device": device,
            "versions": versions(catalog),
            "status": "running",
        }
    )
    run.write_text("run.toml", recipe.toml())
    yield RunStarted(run.path, prompt.text, recipe.name, device, seed, {plan.name: plan.recipe.steps for plan in plans})
    yield from map(Notice, notes)
    if cpu.first_time():
        yield Notice("compiling CPU kernels for this machine: about half a minute, once")

    fields: dict[str, Field] = {}
    for plan in plans:
        previous = fields.get(plan.recipe.start_from or "")
        field, renderer = yield from optimise(plan, previous, prompt, run, device=device, seed=seed, stop=stop, watch=watch)
        fields[plan.name] = field
        if plan.name == until and plan is not plans[-1]:
            yield RunPaused(run.path, plan.name)
            return

    renderer.refresh(field, Step(0, 1))
    files = yield from export(
        field,
        recipe.export,
        catalog,
        run.path / f"asset{suffix_of(catalog, recipe.export.format)}",
        provenance=origin(run.manifest()),
    )
    if recipe.export.turntable:
        yield Exporting("turntable")
        size = recipe.export.turntable
        yield from _previewed(partial(pictures.turntable, field, renderer, run.path, device=device, size=size))
    seconds = time.perf_counter() - started
    run.update_manifest(
        {
            "status": "finished",
            "asset": files[0].name,
            "seconds": round(seconds, 1),
            "peak_memory_mib": machine.peak_memory_mib() if device == "cpu" else torch.cuda.max_memory_allocated(device) >> 20,
        }
    )
    yield RunFinished(run.path, files[0], seconds, tuple(str(path) for path in files))


def optimise(
    plan: StagePlan,
    previous: Field | None,
    prompt: Prompt,
    run: RunDir,
    *,
    device: str,
    seed: int,
    stop: Callable[[], bool],
    watch: Callable[[Field, Renderer, str], None] | None = None,
) -> Generator[Event, None, tuple[Field, Renderer]]:
    """Fit one field until its renders satisfy the guidance, going on from the last checkpoint; returns it and its renderer."""
    stage, steps, started = plan.recipe, plan.recipe.steps, time.perf_counter()
    begun = bool(run.checkpoints(plan.name))
    parts = plan.build(device=device, start_from=None if begun else previous, seed=seed)
    first = run.restore(plan.name, parts)
    yield StageStarted(plan.name, first, steps)
    if first >= steps:
        return parts.field, parts.renderer
    encoded = parts.guidance.encode(prompt)

    recovery = Recovery(**run.recovery(plan.name))
    recovery.apply(parts)
    skipped, streak = torch.zeros(2, device=device)  # the streak: steps skipped in a row
    index, mark, reported = first, time.perf_counter(), first
    while index < steps:
        if stop():
            yield Saved(run.save(plan.name, index, parts), index)
            raise Stopped
        step, failed = Step(index, steps, plan.name, seed), False
        try:
            stats = advance(plan, parts, encoded, step, device)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            failed = True
        if failed:  # here and not above, where the error still holds on to what the step had allocated
            yield Notice(recovery.go_down(parts))
            run.remember(plan.name, recovery.table())
            continue

        bad = stats.pop("skipped")
        skipped, streak = skipped + bad, (streak + bad) * bad
        index += 1
        if watch:
            watch(parts.field, parts.renderer, device)
        if index % REPORT_EVERY == 0 or index == steps:
            seconds = (time.perf_counter() - mark) / (index - reported)
            stats |= {"skipped": skipped} if skipped else {}
            yield Stepped(plan.name, index, steps, seconds, {name: float(value) for name, value in stats.items()})
            mark, reported = time.perf_counter(), index
            if streak >= SKIPS:
                yield Notice(recovery.go_back(parts, plan.name, index))
                run.remember(plan.name, recovery.table())
                index = reported = run.restore(plan.name, parts)
                streak = torch.zeros_like(streak)
                continue
        if (index % stage.save_every == 0 and not streak) or index == steps:
            yield Saved(run.save(plan.name, index, parts), index)
        if stage.preview_every and (index % stage.preview_every == 0 or index == steps):
            path = run.path / plan.name / f"preview-{index:06d}.png"
            yield from _previewed(partial(preview, parts, path, device))
    yield StageFinished(plan.name, time.perf_counter() - started)
    return parts.field, parts.renderer


def advance(plan: StagePlan, parts: Parts, encoded: object, step: Step, device: str) -> dict[str, torch.Tensor | float]:
    """One step: sample cameras, render, guide, penalise, descend. Returns what is worth showing, and 1 as "skipped" if it was."""
    stage = plan.recipe
    for part in parts.trainable().values():
        part.before_step(step)
    parts.renderer.refresh(parts.field, step)
    views = cameras.sample(stage.cameras, step).to(device)
    view = parts.renderer.render(parts.field, views, step=step)
    guided = parts.guidance.step(view, views, encoded, step)
    terms = {"guidance": guided.loss, **penalties(stage.penalties, view, step)}
    parts.optimizer.zero_grad(set_to_none=True)
    torch.stack(list(terms.values())).sum().backward()
    for group in parts.optimizer.param_groups:
        group["lr"] = group["base_lr"] * stage.optimizer.decay.at(step)
    skipped = step_unless_bad(parts.optimizer)
    return {"opacity": view.opacity.detach().mean(), "skipped": skipped, **guided.stats}


def _previewed(draw: Callable[[], list[Path]]) -> list[Event]:
    """Draw pictures; where memory does not suffice for them, the run does without."""
    try:
        return [Previewed(path) for path in draw()]
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        return [Notice("out of memory: a picture is left out")]


def preview(parts: Parts, path: Path, device: str) -> list[Path]:
    """Four sides of the field as it is, side by side."""
    with torch.no_grad():
        view = parts.renderer.render(parts.field, cameras.orbit(4, size=128).to(device))
    checkpoint.replace_atomically(path, lambda temporary: pictures.sheet(view.rgb, columns=4).save(temporary, "PNG"))
    return [path]
