"""`df3d models`: which models there are by name, and fetching one."""

from __future__ import annotations

import json as jsonlib

import typer
from rich.markup import escape

models = typer.Typer(help="Diffusion models by name: list them, fetch one.", invoke_without_command=True)


@models.callback()
def list_(context: typer.Context, json: bool = typer.Option(False, "--json", help="JSON on stdout.")) -> None:
    """List the models that have a short name, and which of them are on this machine."""
    from df3d.cli.context import show, table
    from df3d_diffusion.models import ALIASES, on_disk

    if context.invoked_subcommand:
        return
    found = [(alias, next((path for hub in alias.hubs if (path := on_disk(hub))), None)) for alias in ALIASES.values()]
    if json:
        listed = [
            {"name": a.name, "hubs": a.hubs, "summary": a.summary, "gigabytes": a.gigabytes, "licence": a.licence,
             "gated": a.gated, "folder": str(path) if path else None}
            for a, path in found
        ]  # fmt: skip
        print(jsonlib.dumps(listed, indent=2))
        return
    rows = table("model", "here", "GB", "licence", "what it is", "hub ID")
    for alias, path in found:
        licence = alias.licence + (", must be accepted" if alias.gated else "")
        rows.add_row(alias.name, "yes" if path else "no", f"{alias.gigabytes:g}", escape(licence), alias.summary, alias.hubs[0])
    show(rows)


@models.command()
def pull(
    model: str = typer.Argument(..., help="A name of `df3d models`, or a hub ID: owner/name or owner/name@revision."),
) -> None:
    """Fetch a model; the same command goes on after an interruption. Prints the folder."""
    from df3d_diffusion.models import pull as fetch

    print(fetch(model))
