"""The story of a run: a prompt becomes a field, stage by stage, and the field an asset."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch

from df3d.errors import PluginError
from df3d.events import Event, Exporting, Notice, RunFinished, RunPaused, RunStarted, StageFinished, StageStarted
from df3d.mesh.assemble import export
from df3d.mesh.files import read
from df3d.mesh.finished import FinishedField, drawable, fitted_asset
from df3d.plugin.catalog import Catalog
from df3d.prompt import Prompt
from df3d.protocols import Field, Renderer
from df3d.recipe.checks import check_prompt, check_ready, starts_from_mesh
from df3d.recipe.plan import Plan, StagePlan
from df3d.run import pictures
from df3d.run.kept import KeptGuidance
from df3d.run.provenance import origin, versions
from df3d.run.rundir import RunDir
from df3d.run.stage import Setting, Watch, optimise, previewed
from df3d.schedule import Step
from df3d.system import cpu, machine
from df3d.system.tensors import load_state
from df3d.types import Asset, MeshAsset

Made = tuple[Field | Asset, Renderer | None]


def generate(
    plan: Plan,
    prompt: Prompt,
    run: RunDir,
    catalog: Catalog,
    *,
    device: str = "cpu",
    seed: int = 0,
    until: str | None = None,
    stop: Callable[[], bool] = lambda: False,
    watch: Watch | None = None,
    kept: KeptGuidance | None = None,
) -> Iterator[Event]:
    """Take a prompt to an asset in the folder of `run`; one that is finished is left as it is.

    Yields events and prints nothing. The last one is RunFinished or, when `until` names an earlier stage, RunPaused after it.

    Between two steps `stop()` is asked whether to save a checkpoint and raise Stopped, and `watch(field, renderer, device)`
    may look. Guidances stay in `kept` for the next run, or from stage to stage of this one.
    """
    started = time.perf_counter()
    machine.keep_freed_memory()
    if (asset := run.asset()) is not None:
        yield RunFinished(run.path, asset, 0.0, (str(asset),))
        return
    notes = check_prompt(plan, prompt)
    check_ready(plan)
    _begin(plan, prompt, run, catalog, device, seed)
    yield RunStarted(run.path, prompt.text, plan.recipe.name, device, seed, {s.name: s.stage.steps for s in plan.stages})
    yield from map(Notice, notes)
    if cpu.first_time():
        yield Notice("compiling CPU kernels for this machine: about half a minute, once")

    guidance = KeptGuidance() if kept is None else kept
    setting = Setting(run, prompt, device, seed, stop, watch, guidance)
    made: dict[str, Made] = {}  # what later stages still need
    for index, stage in enumerate(plan.stages):
        later = plan.stages[index + 1 :]
        if later and _is_finished(stage, run) and not _needed(stage.name, later, run):
            yield StageStarted(stage.name, stage.stage.steps, stage.stage.steps)
        else:
            start = made[stage.stage.start_from][0] if stage.stage.start_from in made else None
            if index == 0 and start is None and prompt.mesh and starts_from_mesh(stage):
                start = fitted_asset(read(prompt.mesh, catalog))
                yield from (Notice(f"{prompt.mesh}: {note}") for note in start.notes)
            made[stage.name] = yield from _work(stage, _as_start(start, device), setting)
        made = {name: what for name, what in made.items() if not later or _needed(name, later, run)}
        if stage.name == until and later:
            yield RunPaused(run.path, stage.name)
            return

    if kept is None:
        guidance.forget()  # what is written now has the memory
    files = yield from _finish(plan, *made[plan.stages[-1].name], run, catalog, device)
    seconds = time.perf_counter() - started
    peak = machine.peak_memory_mib() if device == "cpu" else torch.cuda.max_memory_allocated(device) >> 20
    told = {"status": "finished", "asset": files[0].name, "seconds": round(seconds, 1)}
    run.update_manifest(told if peak is None else {**told, "peak_memory_mib": peak})
    yield RunFinished(run.path, files[0], seconds, tuple(str(path) for path in files))


def _begin(plan: Plan, prompt: Prompt, run: RunDir, catalog: Catalog, device: str, seed: int) -> None:
    told = {"seed": seed, "recipe": plan.recipe.name, "device": device, "versions": versions(catalog), "status": "running"}
    run.update_manifest({**prompt.record(), **told})
    run.write_text("run.toml", plan.recipe.toml())
    run.expect(plan)


def _is_finished(stage: StagePlan, run: RunDir) -> bool:
    return run.checkpoints(stage.name).steps_done >= max(stage.stage.steps, 1)


def _needed(name: str, later: Sequence[StagePlan], run: RunDir) -> bool:
    """Whether a later stage, which has not begun, starts from this one."""
    return any(stage.stage.start_from == name and not run.checkpoints(stage.name).files for stage in later)


def _as_start(start: Field | Asset | None, device: str) -> Field | Asset | None:
    """What a field starts from: a mesh as a field with a surface."""
    return FinishedField(start, device=device) if isinstance(start, MeshAsset) else start


def _work(stage: StagePlan, start: Field | Asset | None, setting: Setting) -> Generator[Event, None, Made]:
    """A stage's field and renderer, or what its source makes."""
    if not stage.source:
        return (yield from optimise(stage, start, setting))
    started = time.perf_counter()
    yield StageStarted(stage.name, setting.run.checkpoints(stage.name).steps_done, 1)
    made = _from_source(stage, start, setting)
    renderer = stage.renderer.plugin.build(stage.renderer.config, device=setting.device) if stage.renderer else None
    yield StageFinished(stage.name, time.perf_counter() - started)
    return made, None if isinstance(made, Asset) else renderer


def _from_source(stage: StagePlan, start: Field | Asset | None, setting: Setting) -> Field | Asset:
    """What a source makes, or made before; the same seed makes the same."""
    run, source = setting.run, stage.source
    assert source is not None
    torch.manual_seed(setting.seed)
    if stage.field is None:
        if (kept := run.checkpoints(stage.name).restore_asset()) is not None:
            return kept
        asset = source.plugin.build(source.config, device=setting.device).make(setting.prompt, setting.seed)
        if not isinstance(asset, Asset) or asset.kind != source.plugin.makes:
            found = asset.kind if isinstance(asset, Asset) else f"a {type(asset).__name__}"
            raise PluginError(f"source `{source.name}` made {found} where its record says {source.plugin.makes}", "mend the plugin")
        run.checkpoints(stage.name).save_asset(asset)
        return asset
    field = stage.field.plugin.build(stage.field.config, device=setting.device, start_from=start)
    if not run.checkpoints(stage.name).restore({"field": field}):
        state = source.plugin.build(source.config, device=setting.device).make(setting.prompt, setting.seed)
        if isinstance(state, Asset):
            raise PluginError(f"source `{source.name}` made {state.kind} where its record says state", "mend the plugin")
        try:
            load_state(field, state)
        except (RuntimeError, KeyError, ValueError, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise PluginError(f"what source `{source.name}` made does not fit field `{stage.field.name}`: {reason}") from None
        run.checkpoints(stage.name).save(1, {"field": field}, None)
    return field


def _finish(
    plan: Plan, made: Field | Asset, renderer: Renderer | None, run: RunDir, catalog: Catalog, device: str
) -> Generator[Event, None, list[Path]]:
    """Write the asset and its turntable; returns the asset's files."""
    config = plan.recipe.export
    if renderer and not isinstance(made, Asset):
        renderer.refresh(made, Step(0, 1))
    path = run.path / f"asset{plan.exporter.suffixes[0]}"
    files = yield from export(made, config, plan.exporter, path, provenance=origin(run.manifest()))
    if config.turntable:
        yield Exporting("turntable")
        if isinstance(made, Asset):
            try:
                made, renderer = drawable(fitted_asset(made), catalog, {}, device=device)
            except PluginError as error:
                yield Notice(f"no turntable: {error.message}", instead=True)
                return files
        if renderer:
            yield from previewed(partial(pictures.turntable, made, renderer, run.path, device=device, size=config.turntable))
    return files
