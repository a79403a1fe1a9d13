"""`df3d doctor`: what this machine has, what it costs to be without, and how to mend it."""

from __future__ import annotations

from dataclasses import asdict

import typer
from rich.text import Text

from df3d.cli.context import catalog_of, put_json, show, table
from df3d.plugin.catalog import Catalog
from df3d.system.checks import Finding


def doctor(context: typer.Context, json: bool = typer.Option(False, "--json", help="JSON on stdout.")) -> None:
    """Look at the machine. Exit code 1 only when nothing can run."""
    catalog = catalog_of(context)
    findings = [*catalog.checks(), *_plugins(catalog)]
    if json:
        put_json([asdict(finding) for finding in findings], indent=2)
    else:
        rows = table("", "what", "found", "without it", "to mend it")
        colour = {"ok": "green", "missing": "yellow", "broken": "red"}
        for f in findings:
            rows.add_row(Text(f.state, colour[f.state]), f.what, f.detail, f.without, f.mend)
        show(rows)
    if any(f.needed and f.state != "ok" for f in findings):
        raise typer.Exit(1)


def _plugins(catalog: Catalog) -> list[Finding]:
    return [
        Finding(
            f"plugin {plugin.name}",
            "broken",
            plugin.problem,
            "its parts are not there",
            f"python -m pip install --force-reinstall {plugin.distribution}",
        )
        if plugin.problem
        else Finding(f"plugin {plugin.name}", "ok", f"{plugin.distribution} {plugin.version}, {len(plugin.components)} parts")
        for plugin in catalog.plugins
    ]
