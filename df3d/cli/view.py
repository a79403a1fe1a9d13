"""`df3d view`: look at an asset in the browser."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import typer

from df3d.cli.context import Debug, catalog_of, put, say_notes
from df3d.errors import ConfigError, ExportError

GENERATOR = b'<meta name=generator content="df3d'  # what a page of df3d says of itself


def view(
    context: typer.Context,
    asset: Path = typer.Argument(..., help="A GLB, glTF, OBJ, PLY or STL file, made by df3d or not, or a finished run."),
    out: Path | None = typer.Option(None, "--out", "-o", help="Page to write; by default a .html beside the asset."),
    open_: bool = typer.Option(True, "--open/--no-open", help="Open it in the browser."),
    debug: Debug = False,
) -> None:
    """Write a page with the model to turn by hand, in one file that needs no network, and open it. Prints its path."""
    from df3d.api import asset_path

    catalog = catalog_of(context)
    source = asset_path(asset)
    path = out or source.with_suffix(".html")
    if not path.parent.is_dir() or path.suffix != ".html":
        raise ConfigError(f"cannot write a page to `{path}`", "give a .html file in a folder that exists")
    if out is None and path.exists() and GENERATOR not in path.read_bytes()[:1000]:
        raise ConfigError(f"`{path}` is there already, and df3d did not write it", f"name the page to write: --out {path}")

    from df3d.mesh.files import exporter_for, read

    loaded = read(source, catalog)
    say_notes(source, loaded)
    writer = exporter_for(path, catalog, {loaded.kind})
    if loaded.kind not in writer.takes:
        raise ExportError(f"no page shows {loaded.kind}", "`df3d plugins` lists the exporters")
    files = writer.build(writer.config()).write(loaded, path)
    if open_:
        webbrowser.open(files[0].resolve().as_uri())
    put(files[0])
