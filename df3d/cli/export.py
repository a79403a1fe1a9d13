"""`df3d export`: another file from a run that is finished or was interrupted."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import typer

from df3d.cli.context import Debug, Device, Quiet, catalog_of, put, say


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
    from df3d import api

    path = api.export(
        run, format, out=out, stage=stage, device=device, catalog=catalog_of(context),
        on_event=None if quiet else lambda event: say(f"export: {getattr(event, 'what', '')}"),
        resolution=resolution, threshold=threshold, faces=faces, texture_size=texture_size, normal_map=normal_map,
        unlit=unlit, scale=scale, origin=at_origin and at_origin.value, up=up and up.value,
    )  # fmt: skip
    put(path)
