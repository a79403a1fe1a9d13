"""A recipe: which parts make an asset, in which stages, with which numbers. Read from TOML and written back."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import tomli_w

from df3d.errors import ConfigError, did_you_mean
from df3d.mesh.options import ExportConfig
from df3d.plugin.catalog import Catalog
from df3d.plugin.schema import dump, parse
from df3d.schedule import Schedule
from df3d.system.files import read_text


@dataclass(frozen=True)
class PartTable:
    """`{ use = "hashgrid", levels = 8 }`: a part by name, and its options as yet unchecked."""

    use: str
    options: dict[str, Any] = field(default_factory=dict)

    def table(self) -> dict[str, Any]:
        """As TOML holds it."""
        return {"use": self.use, **self.options}


@dataclass(frozen=True)
class GuidanceTable(PartTable):
    """A guidance, and how much it counts beside the others of its stage."""

    weight: Schedule = Schedule(1.0)

    def table(self) -> dict[str, Any]:
        weight = {} if self.weight == Schedule(1.0) else {"weight": _plain(self.weight)}
        return {"use": self.use, **weight, **self.options}


@dataclass(frozen=True)
class OptimizerTable(PartTable):
    """An optimiser, and the factor on every learning rate."""

    decay: Schedule = Schedule(1.0)

    def table(self) -> dict[str, Any]:
        return {"use": self.use, **self.options, "decay": _plain(self.decay)}


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One optimisation: a field, how it is drawn, and who judges the pictures. Or a source, which makes its result in one go."""

    name: str
    steps: int = dataclasses.field(default=0, metadata={"low": 0, "high": 10_000_000})
    field: PartTable | None = None
    renderer: PartTable | None = None
    guidance: tuple[GuidanceTable, ...] = ()
    source: PartTable | None = None
    start_from: str | None = None
    cameras: PartTable = PartTable("orbit")
    optimizer: OptimizerTable = OptimizerTable("adam")
    penalties: dict[str, Schedule] = dataclasses.field(default_factory=dict)
    save_every: int = dataclasses.field(default=250, metadata={"low": 1, "high": 10_000_000})
    preview_every: int = dataclasses.field(default=100, metadata={"low": 0, "high": 10_000_000})

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", self.name):
            hint = "its name becomes a folder: use at most 64 letters, digits, - and _"
            raise ConfigError(f"a stage cannot be called `{self.name[:80]}`", hint)
        if self.steps < 1 and not self.source:
            raise ValueError("`steps` must be at least 1")

    def table(self) -> dict[str, Any]:
        """As TOML holds it."""
        table: dict[str, Any] = {"name": self.name}
        if self.source:
            table |= {part: value.table() for part in ("source", "field", "renderer") if (value := getattr(self, part))}
            return table | ({"start_from": self.start_from} if self.start_from else {})
        guidance = [one.table() for one in self.guidance]
        table |= {"steps": self.steps} | {part: value.table() for part in ("field", "renderer") if (value := getattr(self, part))}
        table |= {"guidance": guidance[0] if len(guidance) == 1 else guidance}
        if self.start_from:
            table["start_from"] = self.start_from
        return table | {
            "cameras": self.cameras.table(),
            "optimizer": self.optimizer.table(),
            "penalties": {name: _plain(weight) for name, weight in self.penalties.items()},
            "save_every": self.save_every,
            "preview_every": self.preview_every,
        }


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Stages in order, and the export at the end.

    `default_for`: devices ("cpu", "cuda") on which `--recipe auto` may take it, and how strongly; the highest number goes first.
    """

    name: str = "unnamed"
    summary: str = ""
    default_for: dict[str, int] = field(default_factory=dict)
    stages: tuple[Stage, ...] = ()
    export: ExportConfig = ExportConfig()

    def table(self) -> dict[str, Any]:
        """As TOML holds it."""
        stages = [stage.table() for stage in self.stages]
        default = {"default_for": self.default_for} if self.default_for else {}
        return {"name": self.name, "summary": self.summary, **default, "stage": stages, "export": dump(self.export)}

    def toml(self) -> str:
        return tomli_w.dumps(self.table())


def read(path: Path) -> Recipe:
    """Load a recipe file.

    Raises ConfigError, with the place, for anything that is not a recipe.
    """
    try:
        return from_table(tomllib.loads(read_text(path)))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"recipe `{path}` is not valid TOML: {error}", "mend that line and run again") from None
    except OSError as error:
        raise ConfigError(f"recipe `{path}` cannot be read: {error.strerror}", "give the name or path of a recipe") from None
    except ConfigError as error:
        raise ConfigError(f"recipe `{path}`: {error.message}", error.hint) from None


def from_table(table: dict[str, Any]) -> Recipe:
    """A recipe from its TOML table."""
    stages = table.get("stage")
    if not isinstance(stages, list) or not stages or not all(isinstance(stage, dict) for stage in stages):
        raise ConfigError("the recipe has no `[[stage]]` table", "see `df3d recipes show NAME` for an example")
    known = ("name", "summary", "default_for", "export")
    for key in table:
        if key not in (*known, "stage"):
            raise ConfigError(f"unknown key `{key}`", did_you_mean(key, (*known, "stage")))
    built = tuple(_stage(stage, index) for index, stage in enumerate(stages))
    names = [stage.name for stage in built]
    if len(set(names)) < len(names):
        raise ConfigError(f"two stages are called `{max(names, key=names.count)}`", "give each its own `name`")
    return parse(Recipe, {**{key: table[key] for key in known if key in table}, "stages": built})


Table = TypeVar("Table", bound=PartTable)


def _stage(table: dict[str, Any], index: int) -> Stage:
    path = table["name"] if isinstance(table.get("name"), str) else f"stage[{index}]"
    values = dict(table)
    _check_purpose(values, path)
    for key, make in _PARTS.items():
        if key in values:
            values[key] = make(values[key], f"{path}.{key}")
    return parse(Stage, values, path)


def _check_purpose(values: Mapping[str, Any], path: str) -> None:
    """A stage optimises, or takes what a source makes."""
    if "source" in values:
        if isinstance(values["source"], list):
            raise ConfigError(f"`{path}.source` names several sources", "a stage has one; give each a `[[stage]]` of its own")
        for key in ("guidance", "steps"):
            if key in values:
                hint = f"a source makes its result in one go: remove `{key}`"
                raise ConfigError(f"stage `{path}` has both a source and {key}", hint)
        return
    for key in ("field", "renderer", "guidance"):
        if key not in values:
            raise ConfigError(f"`{path}.{key}` is missing", f'add {key} = {{ use = "NAME" }}; `df3d plugins` lists names')
    if "steps" not in values and set(values) <= {f.name for f in dataclasses.fields(Stage)}:
        raise ConfigError(f"key `{path}.steps` is missing", f"add it to `{path}`")


def _part(kind: type[Table], own: Mapping[str, Any] = {}, default: str = "") -> Callable[[Any, str], Table]:
    """Reads a part's table as `kind`, whose `own` keys are df3d's and not the part's; without `use` it is the part `default`."""

    def read(value: Any, path: str) -> Table:
        if not isinstance(value, dict):
            raise ConfigError(f"`{path}` must be a table, not `{value}`", f"write for example {path.split('.')[-1]} = {{ ... }}")
        options = dict(value)
        use = options.pop("use", default)
        if not isinstance(use, str) or not use:
            raise ConfigError(f"`{path}.use` is missing", "it names the plugin; `df3d plugins` lists them")
        kept = {key: options.pop(key) for key in own if key in options}
        return parse(kind, {"use": use, "options": options, **kept}, path)

    return read


def _guidances(value: Any, path: str) -> tuple[GuidanceTable, ...]:
    make = _part(GuidanceTable, {"weight": Schedule})
    if not isinstance(value, list):
        return (make(value, path),)
    found = tuple(make(one, f"{path}[{index}]") for index, one in enumerate(value))
    names = [one.use for one in found]
    if not found:
        raise ConfigError(f"`{path}` is empty", 'write guidance = { use = "NAME" }')
    if len(set(names)) < len(names):
        raise ConfigError(f"`{path}` names `{max(names, key=names.count)}` twice", "join the two, with a `weight`")
    return found


_PARTS: dict[str, Callable[[Any, str], Any]] = {
    "field": _part(PartTable),
    "renderer": _part(PartTable),
    "guidance": _guidances,
    "source": _part(PartTable),
    "cameras": _part(PartTable, default="orbit"),
    "optimizer": _part(OptimizerTable, {"decay": Schedule}, default="adam"),
}


def find(name: str, catalog: Catalog) -> Recipe:
    """A recipe by name or path.

    Raises ConfigError with the nearest names when there is none.
    """
    if is_file(name):
        return read(Path(name))
    paths = available(catalog)
    if name not in paths:
        raise ConfigError(f"there is no recipe `{name}`", did_you_mean(name, paths))
    return read(paths[name])


def is_file(name: str) -> bool:
    """Whether a recipe is named by its file."""
    return name.endswith(".toml") or "/" in name


def available(catalog: Catalog) -> dict[str, Path]:
    """Recipe files by name; of two with one name, the first plugin's counts."""
    found: dict[str, Path] = {}
    for folder in catalog.recipe_folders:
        for path in sorted(folder.glob("*.toml")):
            found.setdefault(path.stem, path)
    return found


def _plain(schedule: Schedule) -> Any:
    return schedule.start if schedule.end is None else dataclasses.asdict(schedule)
