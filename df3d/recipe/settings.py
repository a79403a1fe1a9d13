"""`--set KEY=VALUE`: numbers of a recipe changed by their path."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from typing import Any

from df3d.errors import ConfigError, did_you_mean
from df3d.mesh.options import ExportConfig
from df3d.plugin.catalog import Catalog
from df3d.plugin.schema import hints
from df3d.recipe.recipe import Recipe, from_table

SINGLE = {"field": "field", "renderer": "renderer", "source": "source", "cameras": "cameras", "optimizer": "optimizer"}
OWN = {"guidance": ("weight",), "optimizer": ("decay",)}  # keys that are df3d's, not the part's
NUMBERS = ("name", "steps", "start_from", "save_every", "preview_every")

Settings = Iterable[tuple[str, Any]]
Place = tuple[dict[str, Any], str]  # a table and a key in it


def parse_setting(text: str) -> tuple[str, Any]:
    """`a.b=VALUE` into a path and a TOML value; a bare word is a string."""
    path, equals, raw = text.partition("=")
    if not equals or not path.strip():
        raise ConfigError(f"`--set {text}` has no `KEY=VALUE`", "write for example --set field.levels=8")
    try:
        value = tomllib.loads(f"value = {raw}")["value"]
    except tomllib.TOMLDecodeError:
        value = raw
    return path.strip(), value


def override(recipe: Recipe, settings: Settings, catalog: Catalog) -> Recipe:
    """The recipe with settings applied: `field.levels` in every stage that has it, `coarse.field.levels` in one.

    Of a stage with several guidances, `guidance.scale` is set in all that have it, `guidance.NAME.scale` in one.
    Raises ConfigError when no stage has the key.
    """
    table = recipe.table()
    for path, value in settings:
        keys = path.split(".")
        if keys[0] == "export":
            _set(table, keys, value)
            continue
        stages = [stage for stage in table["stage"] if stage["name"] == keys[0]]
        inside = keys[1:] if stages else keys
        changed = [_change(stage, inside, value, catalog) for stage in stages or table["stage"]]
        if not any(changed):
            raise ConfigError(f"unknown key `{path}`", _nearest(path, table, catalog))
    return from_table(table)


def _change(stage: dict[str, Any], keys: list[str], value: Any, catalog: Catalog) -> bool:
    """Set what `keys` lead to in a stage; False when it has no such key."""
    known = places(stage, catalog)
    for length in (3, 2, 1):
        path = ".".join(keys[:length])
        if path in known and len(keys) >= length:
            for table, key in known[path]:
                if key == "use":  # another plugin: the old one's options mean nothing to it
                    table.clear()
                    value = str(value)  # even if it reads like a number
                _set(table, [key, *keys[length:]], value)
            return True
    return False


def places(stage: dict[str, Any], catalog: Catalog) -> dict[str, list[Place]]:
    """Every path that can be set in a stage's table, and where it leads."""
    known: dict[str, list[Place]] = {key: [(stage, key)] for key in NUMBERS}
    if "source" not in stage:
        penalties = stage.setdefault("penalties", {})
        known["penalties"] = [(stage, "penalties")]
        known |= {f"penalties.{name}": [(penalties, name)] for name in catalog.penalties.names()}
    for part, kind in SINGLE.items():
        if isinstance(stage.get(part), dict):
            known |= {f"{part}.{key}": [place] for key, place in _keys(stage[part], kind, catalog).items()}
    guidance = stage.get("guidance", [])
    tables = guidance if isinstance(guidance, list) else [guidance]
    for table in tables:
        for key, place in _keys(table, "guidance", catalog).items():
            known[f"guidance.{table['use']}.{key}"] = [place]
            if key != "use" or len(tables) == 1:
                known.setdefault(f"guidance.{key}", []).append(place)
    return known


def _keys(table: dict[str, Any], kind: str, catalog: Catalog) -> dict[str, Place]:
    config = catalog.shelf(kind).get(table["use"]).config
    return {key: (table, key) for key in ("use", *OWN.get(kind, ()), *hints(config))}


def _nearest(path: str, table: dict[str, Any], catalog: Catalog) -> str:
    known = {key for stage in table["stage"] for key in places(stage, catalog)} | {f"export.{key}" for key in hints(ExportConfig)}
    first = path.split(".")[0]
    if path.endswith("guidance.use"):
        return "a stage has several guidances: write guidance.NAME.use"
    if first in [stage["name"] for stage in table["stage"]]:
        known = {f"{first}.{key}" for key in known}
    return did_you_mean(path, known, "`df3d recipes show NAME` lists every key")


def _set(table: dict[str, Any], keys: list[str], value: Any) -> None:
    for key in keys[:-1]:
        if not isinstance(table.get(key), dict):  # absent, or a schedule written as a plain number
            table[key] = {"start": table[key]} if key in table else {}
        table = table[key]
    table[keys[-1]] = value
