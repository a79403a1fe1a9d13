"""Write docs/reference from the code: `nox -s docs`. With --check, only say whether it is up to date."""

from __future__ import annotations

import sys
from pathlib import Path

import typer.main
from typer.core import TyperArgument, TyperGroup

from df3d import recipe
from df3d.catalog import Catalog
from df3d.cli import build
from df3d.cli.plugins import _options
from df3d.compose import compose

REFERENCE = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py. -->\n\n"


def table(columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    lines = [columns, tuple("---" for _ in columns), *rows]
    return "".join("| " + " | ".join(str(cell).replace("|", "\\|").replace("\n", " ") for cell in row) + " |\n" for row in lines)


def commands(catalog: Catalog) -> str:
    group = typer.main.get_command(build(catalog))
    assert isinstance(group, TyperGroup)
    text = NOTE + "# Commands\n"
    pending = [((name,), command) for name, command in sorted(group.commands.items())]
    for names, command in pending:
        if isinstance(command, TyperGroup):
            pending += [((*names, name), inner) for name, inner in sorted(command.commands.items())]
            if not command.invoke_without_command:
                continue
        text += f"\n## df3d {' '.join(names)}\n\n{' '.join((command.help or '').split())}\n\n"
        rows: list[tuple[object, ...]] = []
        for parameter in command.params:
            if isinstance(parameter, TyperArgument):
                rows.append((f"`{(parameter.name or '').upper()}`", parameter.help or ""))
            elif parameter.name != "help":
                rows.append(
                    (", ".join(f"`{o}`" for o in [*parameter.opts, *parameter.secondary_opts]), getattr(parameter, "help", ""))
                )
        text += table(("option", "meaning"), rows)
    return text


def plugins(catalog: Catalog) -> str:
    text = NOTE + "# Shipped plugins\n"
    for source in catalog.sources:
        for kind, part in source.components:
            text += f"\n## {part.name} ({kind})\n\n{part.summary}. In {source.distribution}.\n"
            rows = [(f"`{r['name']}`", f"`{r['default']}`", r["type"], r["help"]) for r in _options(part.config)]
            if rows:
                text += "\n" + table(("option", "default", "type", "meaning"), rows)
    return text


def recipes(catalog: Catalog) -> str:
    text = NOTE + "# Shipped recipes\n"
    for name in sorted(recipe.available(catalog)):
        full = compose(recipe.find(name, catalog), catalog)[1]
        text += f"\n## {name}\n\n{full.summary}.\n\n```toml\n{full.toml()}```\n"
    return text


def main() -> None:
    catalog = Catalog.discover()
    pages = {"cli.md": commands(catalog), "plugins.md": plugins(catalog), "recipes.md": recipes(catalog)}
    stale = [name for name, text in pages.items() if not (REFERENCE / name).exists() or (REFERENCE / name).read_text() != text]
    if "--check" in sys.argv:
        sys.exit(f"stale: {', '.join(stale)}; run `nox -s docs`" if stale else 0)
    REFERENCE.mkdir(exist_ok=True)
    for name, text in pages.items():
        (REFERENCE / name).write_text(text)


if __name__ == "__main__":
    main()
