"""`df3d export`: another file from a run that is finished or was interrupted."""

from __future__ import annotations

import dataclasses
import sys
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

from df3d.catalog import Catalog
from df3d.cli.context import Debug, Device, Quiet, catalog_of, check_device, check_place
from df3d.compose import compose
from df3d.errors import ConfigError, RunError, did_you_mean
from df3d.rundir import RunDir


class Origin(StrEnum):
    field = "field"
    base = "base"
    centre = "centre"


class Up(StrEnum):
    y = "y"
    z = "z"


def export(
    context: typer.Context,
    run: Path = typer.Argument(..., help="A run folder."),
    format: str | None = typer.Option(None, "--format", "-f", help="Exporter; by default that of --out, or the recipe's."),
    out: Path | None = typer.Option(
        None, "--out", "-o", help="File to write, or its folder; by default `asset.*` in the run's, or `export.*` beside its own."
    ),
    stage: str | None = typer.Option(None, help="Stage whose field to export; by default the last that has begun."),
    resolution: int | None = typer.Option(None, min=8, max=1024, help="Cells of the marching cubes along each axis."),
    threshold: float | None = typer.Option(None, min=1e-6, help="Density of the surface; by default it is found."),
    faces: int | None = typer.Option(None, min=0, help="Triangles to simplify to; 0 keeps all."),
    texture_size: int | None = typer.Option(None, min=16, max=8192, help="Height and width of the texture, pixels."),
    normal_map: bool | None = typer.Option(
        None,
        "--normal-map/--no-normal-map",
        help="Keep the normals of the mesh before it is simplified, as a texture (GLB, glTF, OBJ).",
    ),
    unlit: bool | None = typer.Option(None, "--unlit/--lit", help="Tell viewers to show the colours without light (GLB)."),
    scale: float | None = typer.Option(None, min=1e-9, help="Length of the longest side, in the file's units."),
    at_origin: Origin | None = typer.Option(
        None, "--origin", help="What lies at the origin: as in the field, middle of the base, or of all."
    ),
    up: Up | None = typer.Option(None, help="Axis that points up."),
    device: Device = "auto",
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Write a run's asset in any format, from its newest checkpoint. Prints the path."""
    catalog = catalog_of(context)
    folder = RunDir.existing(run)
    manifest, recipe = folder.manifest(), folder.recipe()
    given: dict[str, Any] = {
        "resolution": resolution,
        "threshold": threshold,
        "faces": faces,
        "texture_size": texture_size,
        "normal_map": normal_map,
        "unlit": unlit,
        "scale": scale,
        "origin": at_origin and at_origin.value,
        "up": up and up.value,
    }
    if (written := _format(format, out, catalog)) is not None:
        given["format"] = written
    try:
        config = dataclasses.replace(recipe.export, **{key: value for key, value in given.items() if value is not None})
    except ValueError as error:
        raise ConfigError(str(error), "see `df3d export --help`") from None
    plans, _ = compose(recipe, catalog)
    if stage is not None and stage not in (names := [plan.name for plan in plans]):
        raise ConfigError(f"`{run}` has no stage `{stage}`", did_you_mean(stage, names))
    started = [plan for plan in plans if folder.checkpoints(plan.name) and stage in (None, plan.name)]
    if not started:
        raise RunError(f"`{run}` has no checkpoint yet", "let `df3d generate` run for longer first")

    from df3d.export import export as story
    from df3d.export import suffix_of
    from df3d.provenance import origin

    path = _path(folder, out, suffix_of(catalog, config.format))
    plan = started[-1]
    field = plan.field.build(device=check_device(device), start_from=None)
    folder.restore_field(plan.name, field)
    steps = story(field, config, catalog, path, provenance=origin(manifest))
    while True:
        try:
            event = next(steps)
        except StopIteration as end:
            print(end.value[0])
            return
        if not quiet:
            print(f"export: {getattr(event, 'what', '')}", file=sys.stderr)


def _format(format: str | None, out: Path | None, catalog: Catalog) -> str | None:
    """The exporter that is asked for by name or by the suffix of --out; None where neither says."""
    from df3d.export import format_of

    if out is not None and out.suffix and not out.is_dir():
        written = format_of(catalog, out)
        if format not in (None, written):
            raise ConfigError(f"`{out}` is a {written} file, not {format}", "leave out --format, or give --out its suffix")
        return written
    if format is not None:
        catalog.get("exporter", format)
    return format


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
