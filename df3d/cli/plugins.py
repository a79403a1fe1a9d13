"""`df3d plugins`: what is installed, what it offers, and what is broken; new ones, and installing those of others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer
from rich.text import Text

from df3d.cli.context import Debug, catalog_of, put, put_json, say, show, table
from df3d.errors import PluginError, did_you_mean
from df3d.plugin.catalog import Catalog, InstalledPlugin
from df3d.plugin.records import KINDS, Component
from df3d.plugin.schema import options_of
from df3d.system.text import printable

FITS = ("needs", "provides", "outputs", "starts_from", "accepts", "makes", "takes", "draws", "suffixes")  # of records

plugins = typer.Typer(help="List plugins and what they offer; make, install and check them.", invoke_without_command=True)
Json = typer.Option(False, "--json", help="JSON on stdout.")


@plugins.callback()
def list_(context: typer.Context, json: bool = Json, debug: Debug = False) -> None:
    """List plugins and what they offer; make, install and check them."""
    if context.invoked_subcommand:
        return
    catalog = catalog_of(context)
    if json:
        put_json([_plugin(plugin) for plugin in catalog.plugins], indent=2)
        return
    parts = table("kind", "name", "summary", "plugin")
    for plugin in catalog.plugins:
        for part in plugin.components:
            parts.add_row(part.kind, part.name, part.summary, f"{plugin.distribution} {plugin.version}")
    show(parts)
    for plugin in catalog.plugins:
        if plugin.problem:
            of = f"{plugin.distribution} {plugin.version}".strip()
            problem = f"{plugin.name} ({of}): {plugin.problem}"
            show(Text.assemble(("broken", "red"), printable(f": {problem}")))


@plugins.command("show")
def show_part(
    context: typer.Context, name: str = typer.Argument(..., help="A part's name."), json: bool = Json, debug: Debug = False
) -> None:
    """Show what a part needs and offers, and its options."""
    catalog = catalog_of(context)
    found = _found(catalog, name)
    if json:
        put_json([_part(part) for part in found], indent=2)
        return
    for part in found:
        owner = catalog.owner(part)
        about = f": {part.summary} ({part.kind} of {owner.distribution} {owner.version})"
        show(Text.assemble((part.name, "bold"), printable(about)))
        for word in FITS:
            if values := getattr(part, word, ()):
                show(f"{word.replace('_', ' ')}: {values if isinstance(values, str) else ', '.join(sorted(values))}")
        options = table("option", "default", "type", "meaning")
        for row in options_of(part.config):
            options.add_row(row["name"], str(row["default"]), row["type"], row["help"])
        if options.row_count:
            show(options)


@plugins.command("new")
def new_plugin(
    name: str = typer.Argument(..., help="The part's name, in small letters: it becomes the package df3d-NAME."),
    kind: str = typer.Option(..., help=f"{', '.join(KINDS)}."),
    directory: Path = typer.Option(Path(), "--dir", help="Folder in which to make the package's own."),
    debug: Debug = False,
) -> None:
    """Write a small plugin that works, to change: package, options, tests, README. Prints its folder."""
    from df3d.plugin.new import write

    folder = write(name, kind, directory)
    put(folder)
    for line in (f"python -m pip install -e {folder}", f"df3d plugins show {name}", f"df3d plugins check {name}"):
        say(line)


@plugins.command("install")
def install(
    specs: list[str] = typer.Argument(..., metavar="SPEC...", help="What pip takes: names, versions, folders, addresses."),
    upgrade: bool = typer.Option(False, "--upgrade", help="Take newer versions than those that are there."),
    dry_run: bool = typer.Option(False, "--dry-run", help="Say what would change, and change nothing."),
    debug: Debug = False,
) -> None:
    """Install plugins without touching torch, numpy, diffusers, transformers and df3d, which are held where they are."""
    from df3d.plugin import install as installer

    changes = installer.preview(specs, upgrade=upgrade)
    for line in changes or ["nothing would change"]:
        put(line)
    if changes and not dry_run:
        installer.install(specs, upgrade=upgrade)
        put("installed; `df3d plugins` lists what is there")


@plugins.command("uninstall")
def uninstall(
    names: list[str] = typer.Argument(..., metavar="NAME...", help="Distributions that offer plugins."), debug: Debug = False
) -> None:
    """Remove plugins."""
    from df3d.plugin import install as installer

    installer.uninstall(names)
    put(f"removed {', '.join(names)}")


@plugins.command("check")
def check(
    context: typer.Context,
    name: str = typer.Argument(..., help="A part's name, or that of an installed plugin."),
    json: bool = Json,
    debug: Debug = False,
) -> None:
    """Run the contract tests on an installed part. Exit code 1 when one fails."""
    catalog = catalog_of(context)
    mine = [part for plugin in catalog.plugins if name in (plugin.name, plugin.distribution) for part in plugin.components]
    from df3d.testing.check import check as run

    rows = [row for part in mine or _found(catalog, name) for row in run(part)]
    if json:
        put_json(rows, indent=2)
    else:
        shown = table("", "part", "contract", "why")
        colour = {"ok": "green", "skipped": "yellow", "failed": "red"}
        for row in rows:
            state = row["state"]
            shown.add_row(Text(state, colour[state]), row["part"], row["contract"], row["why"])
        show(shown)
    if any(row["state"] == "failed" for row in rows):
        raise typer.Exit(1)


def _found(catalog: Catalog, name: str) -> list[Component]:
    found = catalog.find(name)
    if not found:
        for plugin in catalog.plugins:
            if plugin.problem and plugin.name == name:
                raise PluginError(f"plugin `{name}` is broken: {plugin.problem}", f"reinstall {plugin.distribution}")
        known = {part.name for plugin in catalog.plugins for part in plugin.components}
        raise PluginError(f"there is no part `{name}`", did_you_mean(name, known))
    return found


def _plugin(plugin: InstalledPlugin) -> dict[str, Any]:
    return {
        "name": plugin.name,
        "distribution": plugin.distribution,
        "version": plugin.version,
        "problem": plugin.problem or None,
        "parts": [{"kind": part.kind, "name": part.name, "summary": part.summary} for part in plugin.components],
    }


def _part(part: Component) -> dict[str, Any]:
    said = {word: value for word in FITS if (value := getattr(part, word, None)) is not None}
    lists = {word: value if isinstance(value, str) else sorted(value) for word, value in said.items()}
    return {"kind": part.kind, "name": part.name, "summary": part.summary, **lists, "options": options_of(part.config)}
