"""Who may import whom."""

from __future__ import annotations

import ast
from pathlib import Path

CORE = Path(__file__).parents[1] / "df3d"
PLUGINS = Path(__file__).parents[1] / "plugins"
LAYERS = [
    {"errors", "schedule", "config", "types", "machine", "cpu"},
    {"options", "plugin", "prompt", "events"},
    {"hookspecs", "interfaces"},
    {"catalog", "checkpoint", "provenance"},
    {"recipe", "cameras", "shading", "background", "losses"},
    {"compose", "surface", "texture", "pictures"},
    {"rundir", "export", "finished", "live", "reporters", "recovery"},
    {"generate", "targets", "statistics"},
    {"evaluate"},
    {"report"},
    {"cli", "testing"},
    {"__main__"},
]


def imported(path: Path) -> set[str]:
    """Modules that a file imports when it is itself imported or run, type checking aside."""
    names: set[str] = set()

    def visit(node: ast.AST) -> None:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            return
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
        for child in ast.iter_child_nodes(node):
            visit(child)

    visit(ast.parse(path.read_text()))
    return names


def test_core_modules_import_only_lower_layers() -> None:
    rank = {name: index for index, layer in enumerate(LAYERS) for name in layer}
    for path in CORE.rglob("*.py"):
        module = path.relative_to(CORE).parts[0].removesuffix(".py")
        if module == "__init__":
            continue
        for name in imported(path):
            parts = name.split(".")
            if parts[0] == "df3d" and parts[1] in rank:
                assert rank[parts[1]] <= rank[module], f"{module} imports {parts[1]}"


def test_core_imports_no_plugin() -> None:
    for path in CORE.rglob("*.py"):
        assert not [name for name in imported(path) if name.startswith("df3d_")], path


def test_a_plugin_imports_only_plugins_it_depends_on() -> None:
    for folder in PLUGINS.iterdir():
        own = folder.name.replace("-", "_")
        project = (folder / "pyproject.toml").read_text()
        for path in (folder / own).rglob("*.py"):
            for name in imported(path):
                package = name.split(".")[0]
                if package.startswith("df3d_") and package != own:
                    assert f'"{package.replace("_", "-")}>=' in project, f"{path} imports {package}"
