"""A recipe: which parts make an asset, in which stages, with which numbers. Read from TOML, overridden, written back."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from df3d.catalog import Catalog
from df3d.config import dump, hints, parse
from df3d.errors import ConfigError, did_you_mean
from df3d.options import CameraConfig, ExportConfig, OptimizerConfig, PenaltyConfig

PARTS = ("field", "renderer", "guidance")  # the tables of a stage that choose a plugin with `use`


@dataclass(frozen=True)
class Choice:
    """`{ use = "hashgrid", levels = 8 }`: a plugin by name, and its options as yet unchecked."""

    use: str
    options: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One optimisation: a field, how it is drawn, and who judges the pictures."""

    name: str
    steps: int
    field: Choice
    renderer: Choice
    guidance: Choice
    start_from: str | None = None
    cameras: CameraConfig = CameraConfig()
    optimizer: OptimizerConfig = OptimizerConfig()
    penalties: PenaltyConfig = PenaltyConfig()
    save_every: int = 250
    preview_every: int = 100

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", self.name):
            raise ConfigError(f"a stage cannot be called `{self.name}`", "its name becomes a folder: use letters, digits, - and _")
        if self.steps < 1 or self.save_every < 1 or self.preview_every < 0:
            raise ValueError("steps and save_every must be at least 1, preview_every at least 0")

    def table(self) -> dict[str, Any]:
        """As TOML holds it."""
        table: dict[str, Any] = {}
        for f in dataclasses.fields(self):
            value = getattr(self, f.name)
            if isinstance(value, Choice):
                table[f.name] = {"use": value.use, **value.options}
            elif value is not None:
                table[f.name] = dump(value) if dataclasses.is_dataclass(value) else value
        return table


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Stages in order, and the export at the end."""

    name: str
    summary: str = ""
    stages: tuple[Stage, ...]
    export: ExportConfig = ExportConfig()

    def table(self) -> dict[str, Any]:
        """As TOML holds it."""
        stages = [stage.table() for stage in self.stages]
        return {"name": self.name, "summary": self.summary, "stage": stages, "export": dump(self.export)}

    def toml(self) -> str:
        return tomli_w.dumps(self.table())


def read(path: Path) -> Recipe:
    """Load a recipe file.

    Raises ConfigError, with the place, for anything that is not a recipe.
    """
    try:
        return from_table(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"recipe `{path}` is not valid TOML: {error}", "mend that line and run again") from None
    except OSError as error:
        raise ConfigError(f"recipe `{path}` cannot be read: {error.strerror}", "give the name or path of a recipe") from None
    except ConfigError as error:
        raise ConfigError(f"recipe `{path}`: {error.message}", error.hint) from None


def from_table(table: dict[str, Any]) -> Recipe:
    """A recipe from its TOML table."""
    stages = table.get("stage")
    if not isinstance(stages, list) or not stages or not all(isinstance(stage, dict) for stage in stages):
        raise ConfigError("the recipe has no `[[stage]]` table", "see `df3d recipes show toybox` for an example")
    rest = {key: value for key, value in table.items() if key != "stage"}
    for key in rest:
        if key not in ("name", "summary", "export"):
            raise ConfigError(f"unknown key `{key}`", did_you_mean(key, ("name", "summary", "export", "stage")))
    built = tuple(_stage(stage, index) for index, stage in enumerate(stages))
    names = [stage.name for stage in built]
    if len(set(names)) < len(names):
        raise ConfigError(f"two stages are called `{max(names, key=names.count)}`", "give each its own `name`")
    export = _table(rest.get("export", {}), "export")
    return Recipe(
        name=str(rest.get("name", "unnamed")),
        summary=str(rest.get("summary", "")),
        stages=built,
        export=parse(ExportConfig, export, "export"),
    )


def _table(value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigError(f"`{path}` must be a table, not `{value}`", f"write for example {path} = {{ ... }}")
    return value


def _stage(table: dict[str, Any], index: int) -> Stage:
    path = table["name"] if isinstance(table.get("name"), str) else f"stage[{index}]"
    values = dict(table)
    for part in PARTS:
        if part not in values:
            raise ConfigError(f"`{path}.{part}` is missing", f'add {part} = {{ use = "NAME" }}; `df3d plugins` lists names')
        options = dict(_table(values[part], f"{path}.{part}"))
        use = options.pop("use", None)
        if not isinstance(use, str):
            raise ConfigError(f"`{path}.{part}.use` is missing", "it names the plugin; `df3d plugins` lists them")
        values[part] = Choice(use, options)
    return parse(Stage, values, path)


def find(name: str, catalog: Catalog) -> Recipe:
    """A recipe by name or path.

    Raises ConfigError with the nearest names when there is none.
    """
    if name.endswith(".toml") or "/" in name:
        return read(Path(name))
    paths = available(catalog)
    if name not in paths:
        raise ConfigError(f"there is no recipe `{name}`", did_you_mean(name, paths))
    return read(paths[name])


def available(catalog: Catalog) -> dict[str, Path]:
    """Recipe files by name; a folder of df3d's own comes before plugins'."""
    found: dict[str, Path] = {}
    for folder in catalog.recipe_folders:
        for path in sorted(folder.glob("*.toml")):
            found.setdefault(path.stem, path)
    return found


def override(recipe: Recipe, settings: Iterable[tuple[str, Any]], catalog: Catalog) -> Recipe:
    """The recipe with `--set` applied: `field.levels` in every stage that has it, `coarse.field.levels` in one.

    Raises ConfigError when no stage has the key.
    """
    table = recipe.table()
    for path, value in settings:
        keys = path.split(".")
        if keys[-1] == "use":
            value = str(value)  # a plugin's name, even if it reads like a number
        if keys[0] == "export":
            _set(table, keys, value, path)
            continue
        names = [stage["name"] for stage in table["stage"]]
        chosen = [stage for stage in table["stage"] if stage["name"] == keys[0]]
        if chosen:
            keys = keys[1:]
        targets = [stage for stage in chosen or table["stage"] if keys and _has(stage, keys, catalog)]
        if not targets:
            raise ConfigError(f"unknown key `{path}`", _nearest_path(path, table, catalog, names))
        for stage in targets:
            _set(stage, keys, value, path)
    return from_table(table)


def _known(stage: dict[str, Any], catalog: Catalog) -> list[str]:
    """Every path that can be set in a stage, one level into its tables."""
    paths = [key for key in hints(Stage) if key not in PARTS]
    for name, kind in (("cameras", CameraConfig), ("optimizer", OptimizerConfig), ("penalties", PenaltyConfig)):
        paths += [f"{name}.{key}" for key in hints(kind)]
    for part in PARTS:
        config = catalog.get(part, stage[part]["use"]).config
        paths += [f"{part}.use", *(f"{part}.{key}" for key in hints(config))]
    return paths


def _has(stage: dict[str, Any], keys: list[str], catalog: Catalog) -> bool:
    return ".".join(keys[:2]) in _known(stage, catalog)


def _nearest_path(path: str, table: dict[str, Any], catalog: Catalog, names: list[str]) -> str:
    known = {key for stage in table["stage"] for key in _known(stage, catalog)} | {f"export.{k}" for k in hints(ExportConfig)}
    if path.split(".")[0] in names:
        known = {f"{path.split('.')[0]}.{key}" for key in known}
    return did_you_mean(path, known, "`df3d recipes show NAME` lists every key")


def _set(table: dict[str, Any], keys: list[str], value: Any, path: str) -> None:
    if len(keys) == 2 and keys[1] == "use":  # another plugin: the old one's options mean nothing to it
        table[keys[0]] = {}
    for key in keys[:-1]:
        if not isinstance(table.get(key), dict):  # absent, or a schedule written as a plain number
            table[key] = {"start": table[key]} if key in table else {}
        table = table[key]
    table[keys[-1]] = value
