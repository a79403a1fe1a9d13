"""Write docs/reference from the code: `nox -s docs`. With --check, only say whether it is up to date."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer.main
from typer.core import TyperArgument, TyperGroup

from df3d import recipe
from df3d.catalog import Catalog
from df3d.cli import build
from df3d.compose import compose
from df3d.config import options_of
from df3d.options import CameraConfig, ExportConfig, OptimizerConfig, PenaltyConfig

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
    return text + ENVIRONMENT


ENVIRONMENT = """
## Environment

| variable | meaning |
| --- | --- |
| `DF3D_CACHE` | Folder for compiled kernels and prompt encodings; by default `df3d` in the user's cache folder. |
| `DF3D_DISABLE_PLUGINS` | Names of plugins to leave out, with commas between them; `*` for all. |
| `OMP_NUM_THREADS` | Cores that torch and df3d's kernels use; by default all. |
| `HF_HUB_OFFLINE`, `HF_HOME` | As everywhere: ask no model hub; where fetched models lie. |
| `NO_COLOR` | No colours. |
"""


def plugins(catalog: Catalog) -> str:
    text = NOTE + "# Shipped plugins\n"
    for source in catalog.sources:
        for kind, part in source.components:
            text += f"\n## {part.name} ({kind})\n\n{part.summary}. In {source.distribution}.\n"
            if rows := options_of(part.config):
                text += "\n" + options(rows)
    return text


def options(rows: list[dict[str, Any]]) -> str:
    return table(
        ("option", "default", "type", "meaning"), [(f"`{r['name']}`", f"`{r['default']}`", r["type"], r["help"]) for r in rows]
    )


FORMAT = """# Recipes

A recipe is a TOML file: one or more `[[stage]]` tables, worked through in order, and `[export]`. A stage has a `name`, a number of
`steps`, the tables `field`, `renderer` and `guidance`, each with `use = "NAME"` and the options of that [plugin](plugins.md), and
what the tables below say; `start_from` names an earlier stage whose field it goes on from. `save_every` and `preview_every` count
steps. What is left out has its default.

A number that may change along a stage, here "a table", is written `{ start = 0.98, end = 0.5, since = 0.4, until = 0.6 }`: it is
`start` until the share `since` of the stage's steps, then goes in a straight line to `end`, where it is from `until` on. `since`
is 0 and `until` is 1 when not given.

`--set KEY=VALUE` changes one number: `--set cameras.views=2` in every stage, `--set coarse.cameras.views=2` in one, `--set
'guidance.t_max={start=0.98,end=0.3}'` one that changes, `--set guidance.use=NAME` a plugin. `--recipe FILE` reads a file;
a run's `run.toml` is one.
"""


def recipes(catalog: Catalog) -> str:
    text = NOTE + FORMAT
    tables = {"cameras": CameraConfig, "optimizer": OptimizerConfig, "penalties": PenaltyConfig, "export": ExportConfig}
    for name, part in tables.items():
        text += f"\n## {name}\n\n{part.__doc__}\n\n{options(options_of(part))}"
    text += "\n# Shipped recipes\n"
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
