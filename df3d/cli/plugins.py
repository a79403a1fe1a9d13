"""`df3d plugins`: what is installed, what it offers, and what is broken."""

from __future__ import annotations

import json as jsonlib
from typing import Any

import typer
from rich.markup import escape

from df3d.catalog import Catalog, Source
from df3d.cli.context import Debug, catalog_of, show, table
from df3d.config import options_of
from df3d.errors import PluginError, did_you_mean
from df3d.plugin import Component

FITS = ("needs", "provides", "outputs", "starts_from", "suffixes")  # what records say of what they fit


def plugins(
    context: typer.Context,
    action: str = typer.Argument("list", help="`list`, or `show` and a NAME."),
    name: str | None = typer.Argument(None, help="A part's name, with `show`."),
    json: bool = typer.Option(False, "--json", help="JSON on stdout."),
    debug: Debug = False,
) -> None:
    """List plugins and what they offer, or show one part's options."""
    catalog = catalog_of(context)
    if action == "show" and name:
        _show(catalog, name, json)
    elif action == "list" and name is None:
        _list(catalog, json)
    else:
        raise typer.BadParameter("use `df3d plugins` or `df3d plugins show NAME`")


def _list(catalog: Catalog, json: bool) -> None:
    if json:
        print(jsonlib.dumps([_source(source) for source in catalog.sources], indent=2))
        return
    parts = table("kind", "name", "summary", "plugin")
    for source in catalog.sources:
        for kind, part in source.components:
            parts.add_row(kind, part.name, part.summary, f"{source.distribution} {source.version}")
    show(parts)
    for source in catalog.sources:
        if source.problem:
            show(f"[red]broken[/red]: {source.name} ({source.distribution} {source.version}): {escape(source.problem)}")


def _source(source: Source) -> dict[str, Any]:
    return {
        "name": source.name,
        "distribution": source.distribution,
        "version": source.version,
        "problem": source.problem or None,
        "parts": [{"kind": kind, "name": part.name, "summary": part.summary} for kind, part in source.components],
    }


def _show(catalog: Catalog, name: str, json: bool) -> None:
    found = catalog.find(name)
    if not found:
        broken = [source for source in catalog.sources if source.problem and source.name == name]
        if broken:
            raise PluginError(f"plugin `{name}` is broken: {broken[0].problem}", f"reinstall {broken[0].distribution}")
        known = {part.name for source in catalog.sources for _, part in source.components}
        raise PluginError(f"there is no part `{name}`", did_you_mean(name, known))
    if json:
        print(jsonlib.dumps([_part(kind, part) for kind, part, _ in found], indent=2, default=str))
        return
    for kind, part, source in found:
        show(f"[bold]{part.name}[/bold]: {part.summary} ({kind} of {source.distribution} {source.version})")
        for word in FITS:
            if values := getattr(part, word, ()):
                show(f"{word.replace('_', ' ')}: {', '.join(sorted(values))}")
        options = table("option", "default", "type", "meaning")
        for row in options_of(part.config):
            options.add_row(row["name"], str(row["default"]), row["type"].replace("[", r"\["), row["help"])
        if options.row_count:
            show(options)


def _part(kind: str, part: Component) -> dict[str, Any]:
    lists = {word: sorted(getattr(part, word)) for word in FITS if hasattr(part, word)}
    return {"kind": kind, "name": part.name, "summary": part.summary, **lists, "options": options_of(part.config)}
