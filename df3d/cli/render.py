"""`df3d render`: pictures of any mesh."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import typer

from df3d.cli.context import Debug, Device, catalog_of, put, say
from df3d.errors import ConfigError


class Shading(StrEnum):
    lit = "lit"
    albedo = "albedo"
    geometry = "geometry"


def render(
    context: typer.Context,
    asset: Path = typer.Argument(..., help="A GLB, glTF, OBJ, PLY or STL file, made by df3d or not, or a finished run."),
    out: Path | None = typer.Option(
        None, "--out", "-o", help="Film (.mp4, .webp, .gif) or sheet (.png) to write; by default a .webp beside the asset."
    ),
    views: int = typer.Option(24, min=1, max=720, help="Pictures around the object."),
    size: int = typer.Option(256, min=16, max=4096, help="Height and width, pixels."),
    elevation: float = typer.Option(15.0, min=-89.0, max=89.0, help="Of the cameras, degrees."),
    shading: Shading = typer.Option(Shading.lit, help="Lit, colours alone, or the shape alone in white."),
    background: str = typer.Option("1,1,1", help="Red, green, blue between 0 and 1."),
    device: Device = "auto",
    debug: Debug = False,
) -> None:
    """Draw a turntable of an asset. Prints the path of the picture."""
    from df3d import api

    path = api.render(
        asset, out, views=views, size=size, elevation=elevation, shading=shading.value, background=_color(background),
        device=device, catalog=catalog_of(context), on_note=lambda text: say(f"note: {text}"),
    )  # fmt: skip
    put(path)


def _color(text: str) -> tuple[float, float, float]:
    try:
        color = [float(part) for part in text.split(",")]
    except ValueError:
        color = []
    if len(color) != 3 or not all(0 <= part <= 1 for part in color):
        raise ConfigError(f"`{text}` is not a colour", "give red, green and blue between 0 and 1, as in 0.5,0.5,0.5")
    return color[0], color[1], color[2]
