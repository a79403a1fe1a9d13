"""Who may import whom. Only the names of folders, and of the files at the top, count."""

from __future__ import annotations

import ast
import csv
import re
from pathlib import Path

import pytest

CORE = Path(__file__).parents[1] / "df3d"
PLUGINS = Path(__file__).parents[1] / "plugins"
VOCABULARY = {"errors", "types", "events", "prompt", "schedule", "protocols"}
# From the ground up: a folder imports itself and what stands before it, imports for types included.
ORDER = [
    "system",
    "plugin",
    "scene",
    "mesh",
    "recipe",
    "run",
    "evaluation",
    "batches",
    "api",
    "builtin",
    "testing",
    "cli",
    "__main__",
]
# What a plugin may import of core, beside `df3d` itself and the vocabulary.
FOR_PLUGINS = {"system", "scene", "mesh", "testing"}


def imported(path: Path) -> set[str]:
    """Modules that a file imports, wherever in it and whatever for."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    return names


def place(path: Path) -> str:
    """The folder of a file of core, or its own name at the top."""
    return path.relative_to(CORE).parts[0].removesuffix(".py")


FILES = [path for path in CORE.rglob("*.py") if "templates" not in path.parts]


def rank(name: str) -> int:
    return 0 if name in VOCABULARY else 1 + ORDER.index(name)


def test_every_folder_has_its_place() -> None:
    assert {place(path) for path in FILES} - {"__init__"} == VOCABULARY | set(ORDER)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(CORE)))
def test_core_imports_only_what_stands_before_it(path: Path) -> None:
    if path == CORE / "__init__.py":
        return
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "df3d" and len(parts) > 1 and (parts[1] in VOCABULARY or parts[1] in ORDER):
            assert rank(parts[1]) <= rank(place(path)), f"it imports {name}"


def test_the_vocabulary_imports_nothing_but_itself() -> None:
    """And, for types alone, nothing of df3d either; `schedule` and `errors` are its ground."""
    for word in VOCABULARY:
        for name in imported(CORE / f"{word}.py"):
            assert not name.startswith("df3d.") or name.split(".")[1] in VOCABULARY


def test_core_names_no_plugin() -> None:
    """Neither in an import nor in a text: parts, distributions and packages are data, in well_known.csv."""
    with (CORE / "plugin" / "well_known.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) > 15
    common = {"mesh", "clip", "texture", "html", "geometry", "glb", "obj"}  # words of df3d's own too
    names = {row["name"] for row in rows} | {row["distribution"] for row in rows} | {"dreamfusion", "magic3d"}
    pattern = re.compile("|".join(rf"\b{re.escape(name)}\b" for name in sorted(names - common)) + r"|\bdf3d_(?!api\b)[a-z]+\b")
    hooks = {f"df3d_{word}" for word in ("fields renderers guidance cameras penalties optimizers sources importers exporters "
             "scorers launchers recipes commands checks on_event red my_part impl").split()}  # fmt: skip
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and not _is_docstring(node.value):
                found = set(pattern.findall(node.value)) - hooks
                assert not found, f"{path}: {found}"
        assert not [name for name in imported(path) if name.startswith("df3d_")], path


def _is_docstring(text: str) -> bool:
    return "\n" in text or text.endswith(".")


def test_the_well_known_parts_are_the_shipped_ones() -> None:
    from df3d.plugin.catalog import Catalog, well_known

    shipped = {folder.name for folder in PLUGINS.iterdir()}
    offered = {
        (part.kind, part.name): plugin.distribution
        for plugin in Catalog.discover().plugins
        if plugin.distribution in shipped
        for part in plugin.components
    }
    assert dict(well_known()) == offered


def test_a_plugin_imports_only_what_is_for_plugins_and_what_it_depends_on() -> None:
    for folder in PLUGINS.iterdir():
        own = folder.name.replace("-", "_")
        project = (folder / "pyproject.toml").read_text()
        for path in (folder / own).rglob("*.py"):
            for name in imported(path):
                package, *rest = name.split(".")
                if package.startswith("df3d_") and package != own:
                    assert f'"{package.replace("_", "-")}>=' in project, f"{path} imports {package}"
                if package == "df3d" and rest and (rest[0] in ORDER):
                    assert rest[0] in FOR_PLUGINS or path.name == "cli.py", f"{path} imports {name}"
