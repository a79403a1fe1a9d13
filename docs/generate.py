"""Write docs/reference, and the packages in docs/how-to/plugins, from the code: `nox -s docs`.

With --check, only say whether all is up to date.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer.main
from typer.core import TyperArgument, TyperGroup

from df3d import protocols
from df3d.cli import build
from df3d.mesh.options import ExportConfig
from df3d.plugin import hookspecs, new
from df3d.plugin.catalog import Catalog
from df3d.plugin.records import API, KINDS, Component, Memory, Saving, Workload
from df3d.plugin.schema import options_of
from df3d.recipe import recipe
from df3d.recipe.compose import compose
from df3d.types import RenderRequest

DOCS = Path(__file__).parent
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
    for plugin in catalog.plugins:
        for part in plugin.components:
            text += f"\n## {part.name} ({part.kind})\n\n{part.summary}. In {plugin.distribution}.\n"
            if rows := options_of(part.config):
                text += "\n" + options(rows)
    return text


def options(rows: list[dict[str, Any]]) -> str:
    return table(
        ("option", "default", "type", "meaning"), [(f"`{r['name']}`", f"`{r['default']}`", r["type"], r["help"]) for r in rows]
    )


FORMAT = """# Recipes

A recipe is a TOML file: one or more `[[stage]]` tables, worked through in order, and `[export]`. A stage has a `name`, a number of
`steps`, and tables that choose parts with `use = "NAME"` and set the options of that [part](plugins.md):

| table | chooses |
| --- | --- |
| `field`, `renderer` | the scene, and how it is drawn |
| `guidance` | who judges the pictures; a list of tables for several, each with a `weight` |
| `cameras` | where training looks from; `orbit` when it says no `use` |
| `optimizer` | `adam` when it says no `use`; `decay` is a factor on every learning rate |
| `penalties` | no `use` here: `NAME = WEIGHT` for each penalty |
| `source` | in place of `guidance` and `steps`: a part that makes its asset, or the state of the `field`, in one go |

`start_from` names an earlier stage whose result the field goes on from. `save_every` and `preview_every` count steps. What is left
out has its default. `default_for = { cpu = 10 }` at the top offers the recipe to `--recipe auto`; the highest number goes first.

A number that may change along a stage, here "a table", is written `{ start = 0.98, end = 0.5, since = 0.4, until = 0.6 }`: it is
`start` until the share `since` of the stage's steps, then goes in a straight line to `end`, where it is from `until` on. `since`
is 0 and `until` is 1 when not given.

`--set KEY=VALUE` changes one number: `--set cameras.views=2` in every stage, `--set coarse.cameras.views=2` in one, `--set
'guidance.t_max={start=0.98,end=0.3}'` one that changes, `--set guidance.use=NAME` a part, `--set guidance.NAME.scale=20` an option
of one of several guidances. `--recipe FILE` reads a file; a run's `run.toml` is one.
"""


def recipes(catalog: Catalog) -> str:
    text = NOTE + FORMAT
    text += f"\n## export\n\n{ExportConfig.__doc__}\n\n{options(options_of(ExportConfig))}"
    text += "\n# Shipped recipes\n"
    for name in sorted(recipe.available(catalog)):
        full = compose(recipe.find(name, catalog), catalog).recipe
        text += f"\n## {name}\n\n{full.summary}.\n\n```toml\n{full.toml()}```\n"
    return text


PROTOCOLS = {
    "field": (protocols.Trainable, protocols.Volume, protocols.Surface, protocols.AssetField, protocols.Resizable),
    "renderer": (protocols.Trainable, protocols.Renderer, protocols.Frugal),
    "guidance": (protocols.Guidance, protocols.Frugal),
    "cameras": (protocols.CameraSampler,),
    "penalty": (protocols.Penalty,),
    "optimizer": (),
    "source": (protocols.Source,),
    "importer": (protocols.Importer,),
    "exporter": (protocols.Exporter,),
    "scorer": (protocols.Scorer, protocols.Subject),
    "launcher": (protocols.Launcher, protocols.Worker),
}


def interface() -> str:
    """Hooks, records and protocols, kind by kind."""
    text = NOTE + f"# The plugin interface, version {API}\n\nWhat is promised of it: [Stability](stability.md). "
    text += "How to write one: [a plugin of any kind](../how-to/write-a-plugin.md).\n"
    for kind, record in KINDS.items():
        hook = getattr(hookspecs, record.hook)
        text += (
            f"\n## {kind}\n\nHook `{record.hook}`: {hook.__doc__} It yields `{record.__name__}`.\n\n{inspect.getdoc(record)}\n\n"
        )
        own = [field for field in dataclasses.fields(record) if field.name in record.__annotations__]
        text += table(("field", "type", "default"), [(f"`{f.name}`", f"`{f.type}`", _default(f)) for f in own]) if own else ""
        for protocol in PROTOCOLS[kind]:
            text += (
                f"\n### {protocol.__name__}\n\n{inspect.getdoc(protocol)}\n" if protocol.__doc__ else f"\n### {protocol.__name__}\n"
            )
            text += "".join(_method(name, member) for name, member in vars(protocol).items())
    others = [name for name in dir(hookspecs) if name.startswith("df3d_") and name not in {r.hook for r in KINDS.values()}]
    text += "\n## Other hooks\n\n" + table(("hook", "what it is for"), [(f"`{n}`", getattr(hookspecs, n).__doc__) for n in others])
    text += "\n## Every record\n\n" + f"{inspect.getdoc(Component)}\n\n"
    common = dataclasses.fields(Component)
    text += table(("field", "type", "default"), [(f"`{f.name}`", f"`{f.type}`", _default(f)) for f in common])
    for data in (Workload, Memory, Saving, RenderRequest):
        text += f"\n### {data.__name__}\n\n{inspect.getdoc(data)}\n\n"
        text += table(("field", "type", "default"), [(f"`{f.name}`", f"`{f.type}`", _default(f)) for f in dataclasses.fields(data)])
    return text


def _default(field: dataclasses.Field[Any]) -> str:
    if field.default is dataclasses.MISSING:
        return ""
    value = field.default
    if isinstance(value, frozenset):
        return "`{" + ", ".join(sorted(map(repr, value))) + "}`"
    return f"`{value.__name__ if isinstance(value, type) else value!r}`"


def _method(name: str, member: object) -> str:
    function = getattr(member, "fget", None) or member
    if not inspect.isfunction(function) or (name.startswith("_") and name != "__call__"):
        return ""
    signature = re.sub(r"RenderRequest\(.*?\}\)\)", "AT_BEST", str(inspect.signature(function))).replace("'", "")
    return f"\n`{name}{signature}`\n\n{inspect.getdoc(function) or ''}".rstrip() + "\n"


def guide(page: Path) -> str:
    """A how-to page, with the package that `df3d plugins new` writes between its two marks."""
    return re.sub(r"(?<=<!-- template: )(\w+) -->\n.*?(?=<!-- end of template -->)", _package, page.read_text(), flags=re.DOTALL)


def _package(mark: re.Match[str]) -> str:
    kind = mark[1]
    with TemporaryDirectory() as place:
        folder = new.write("lush", kind, Path(place))
        listings = "".join(
            f"\n`{path.relative_to(folder)}`\n\n```python\n{path.read_text()}```\n"
            for path in (folder / "df3d_lush" / name for name in ("hooks.py", "config.py", "part.py"))
        )
    commands = f"df3d plugins new lush --kind {kind}\npython -m pip install -e df3d-lush\ndf3d plugins check lush\n"
    return f"{kind} -->\n```sh\n{commands}{new.USES[kind].replace('my-part', 'lush')}\n```\n{listings}\n"


def main() -> None:
    catalog = Catalog.discover()
    pages = {
        DOCS / "reference" / "cli.md": commands(catalog),
        DOCS / "reference" / "plugins.md": plugins(catalog),
        DOCS / "reference" / "recipes.md": recipes(catalog),
        DOCS / "reference" / "interface.md": interface(),
    }
    pages |= {page: guide(page) for page in sorted((DOCS / "how-to" / "plugins").glob("*.md"))}
    stale = [path.name for path, text in pages.items() if not path.exists() or path.read_text() != text]
    if "--check" in sys.argv:
        sys.exit(f"stale: {', '.join(stale)}; run `nox -s docs`" if stale else 0)
    for path, text in pages.items():
        path.write_text(text)


if __name__ == "__main__":
    main()
