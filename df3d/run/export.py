"""Another file from a run that is finished or was interrupted: what `df3d export` does."""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from df3d.errors import ConfigError, RunError, did_you_mean
from df3d.events import Event
from df3d.mesh.files import exporter_for
from df3d.mesh.options import ExportConfig
from df3d.plugin.catalog import Catalog
from df3d.plugin.records import ExporterPlugin
from df3d.recipe.checks import check_format
from df3d.recipe.compose import compose
from df3d.recipe.plan import StagePlan
from df3d.run.provenance import origin
from df3d.run.rundir import RunDir
from df3d.system.devices import check_device
from df3d.system.files import check_place


def export_again(
    run: RunDir,
    catalog: Catalog,
    *,
    format: str | None,
    out: Path | None,
    stage: str | None,
    device: str,
    options: Mapping[str, Any],
) -> Generator[Event, None, Path]:
    """Write the asset of a stage, by default of the last that has begun, from its newest checkpoint; returns the file."""
    recipe = run.recipe()
    plan = _stage(run, catalog, stage)
    if unknown := set(options) - {f.name for f in dataclasses.fields(ExportConfig)}:
        known = [f.name for f in dataclasses.fields(ExportConfig)]
        raise ConfigError(f"there is no option `{min(unknown)}`", did_you_mean(min(unknown), known))
    try:
        config = dataclasses.replace(recipe.export, **{key: value for key, value in options.items() if value is not None})
    except ValueError as error:
        raise ConfigError(str(error), "see `df3d export --help`") from None
    exporter = _exporter(format or None, out, recipe.export.format, plan, catalog)
    check_format(plan, exporter)
    path = _path(run, out, exporter.suffixes[0])
    where = check_device(device)

    from df3d.mesh.assemble import export

    if plan.field:
        field = plan.field.plugin.build(plan.field.config, device=where, start_from=None)
        run.checkpoints(plan.name).restore({"field": field})
        made: Any = field
    else:
        made = run.checkpoints(plan.name).restore_asset()
        if made is None:
            raise RunError(f"what stage `{plan.name}` of `{run.path}` made was not kept", "make the run again")
    files = yield from export(made, config, exporter, path, provenance=origin(run.manifest()))
    return files[0]


def _stage(run: RunDir, catalog: Catalog, name: str | None) -> StagePlan:
    stages = compose(run.recipe(), catalog).stages
    if name is not None and name not in (names := [stage.name for stage in stages]):
        raise ConfigError(f"`{run.path}` has no stage `{name}`", did_you_mean(name, names))
    started = [stage for stage in stages if run.checkpoints(stage.name).files and name in (None, stage.name)]
    if not started:
        raise RunError(f"`{run.path}` has no checkpoint yet", "let `df3d generate` run for longer first")
    return started[-1]


def _exporter(format: str | None, out: Path | None, otherwise: str, plan: StagePlan, catalog: Catalog) -> ExporterPlugin:
    """The exporter that is asked for by name or by the suffix of `out`, or else the recipe's."""
    if out is not None and out.suffix and not out.is_dir():
        written = exporter_for(out, catalog, plan.makes)
        if format is not None and out.suffix.lower() not in catalog.exporters.get(format).suffixes:
            raise ConfigError(f"`{out}` is a {written.name} file, not {format}", "leave out --format, or give --out its suffix")
        return written if format is None else catalog.exporters.get(format)
    return catalog.exporters.get(format or otherwise)


def _path(run: RunDir, out: Path | None, suffix: str) -> Path:
    """The file to write; a finished run's own asset is left as it is."""
    path = run.path / "asset" if out is None else out / "asset" if out.is_dir() else out
    if path.suffix == "":
        path = path.with_name(path.name + suffix)
    own = run.asset()
    if own is not None and (out is None or out.is_dir()) and path.resolve() == own.resolve():
        path = path.with_stem("export")
    check_place(path)
    return path
