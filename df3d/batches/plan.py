"""A batch: a list of runs, each with its folder, kept as `batch.json` in the batch's own folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from df3d.batches.lists import Entry, Mistakes
from df3d.errors import ConfigError, Df3dError, RunError
from df3d.plugin.catalog import Catalog
from df3d.prompt import Prompt
from df3d.recipe.checks import check_prompt, check_ready
from df3d.recipe.plan import Plan
from df3d.recipe.recipe import is_file
from df3d.recipe.settings import parse_setting
from df3d.run.job import choose_plan
from df3d.run.rundir import default_path
from df3d.system.files import read_plain, read_text, replace_atomically

NAME, TABLE, GALLERY = "batch.json", "batch.csv", "index.html"  # what a batch keeps beside its runs
OWN = ".batch"  # the folder of what only df3d reads: no run has such a name


@dataclass(frozen=True)
class Row:
    """One run of a batch."""

    prompt: str
    seed: int
    folder: str  # inside the batch's
    negative: str = ""
    recipe: str = ""  # where it is not the batch's
    settings: tuple[str, ...] = ()  # KEY=VALUE, after the batch's


@dataclass(frozen=True)
class Batch:
    """Runs, and what they share. It holds what its recipe files said, so that workers elsewhere, or later, go by the same."""

    recipe: str
    settings: list[str]  # KEY=VALUE
    device: str
    rows: list[Row]
    recipes: dict[str, str] = field(default_factory=dict)  # TOML by the path that a row, or the batch, names

    def recipe_of(self, row: Row, folder: Path) -> str:
        """The name of a row's recipe, or its file in the batch's `folder`."""
        name = row.recipe or self.recipe
        return str(self.recipe_file(name, folder)) if name in self.recipes else name

    def recipe_file(self, name: str, folder: Path) -> Path:
        return folder / OWN / "recipes" / hashlib.sha256(self.recipes[name].encode()).hexdigest()[:8] / Path(name).name

    def settings_of(self, row: Row) -> list[str]:
        return [*self.settings, *row.settings]


def planned(
    entries: Sequence[Entry],
    seeds: Sequence[int],
    recipe: str,
    settings: Sequence[str],
    device: str,
    catalog: Catalog,
    mistakes: Mistakes,
) -> Batch:
    """The batch of a list. Raises ConfigError with all that is wrong with any of its rows."""
    batch = expand(entries, seeds, recipe, settings, device, mistakes)
    check(batch, entries, catalog, mistakes)
    mistakes.tell()
    return batch


def expand(
    entries: Sequence[Entry], seeds: Sequence[int], recipe: str, settings: Sequence[str], device: str, mistakes: Mistakes
) -> Batch:
    """Every entry with every seed, or with its own, each in a folder of its own; where two would share one is a mistake."""
    lines: dict[str, int] = {}
    rows = []
    for entry in entries:
        with mistakes.in_line(entry.line):
            for seed in seeds if entry.seed is None else [entry.seed]:
                folder = _folder(entry, seed, alone=entry.seed is not None or len(seeds) == 1)
                if (before := lines.setdefault(folder.lower(), entry.line)) != entry.line:
                    hint = "give each prompt once, or another seed or `out`; --seeds makes several of each"
                    raise ConfigError(f"its folder `{folder}` is that of line {before}", hint)
                if folder.lower() in (NAME, TABLE, GALLERY):
                    raise ConfigError(f"`{folder}` is a file of the batch itself", "give it another `out`")
                rows.append(Row(entry.prompt, seed, folder, entry.negative, entry.recipe, entry.settings))
    files = {name for name in (recipe, *(row.recipe for row in rows)) if is_file(name)}
    return Batch(recipe, list(settings), device, rows, {name: _text(Path(name)) for name in sorted(files)})


def _text(path: Path) -> str:
    """What a recipe file holds; "" where it cannot be read, which `check` tells."""
    try:
        return read_text(path)
    except (OSError, UnicodeDecodeError):
        return ""


def _folder(entry: Entry, seed: int, *, alone: bool) -> str:
    if not entry.out:
        return default_path(entry.prompt, seed).name
    return entry.out if alone else f"{entry.out}-seed{seed}"


def check(batch: Batch, entries: Sequence[Entry], catalog: Catalog, mistakes: Mistakes) -> None:
    """What keeps a row from beginning is a mistake: its recipe, its settings, its prompt, what its parts need."""
    plans: dict[tuple[str, ...], Plan | Df3dError] = {}
    for entry in entries:
        key = (entry.recipe or batch.recipe, *batch.settings, *entry.settings)
        if key not in plans:
            plans[key] = _plan(key, catalog, batch.device)
        with mistakes.in_line(entry.line):
            plan = plans[key]
            if isinstance(plan, Df3dError):
                raise plan
            check_prompt(plan, Prompt(entry.prompt, entry.negative))


def _plan(key: tuple[str, ...], catalog: Catalog, device: str) -> Plan | Df3dError:
    try:
        plan, _ = choose_plan(key[0], [parse_setting(text) for text in key[1:]], catalog, device=device)
        check_ready(plan)
    except Df3dError as error:
        return error
    return plan


def save(batch: Batch, folder: Path) -> None:
    """Leave the list in the batch's folder.

    Raises RunError when another batch lives there, or it cannot be written.
    """
    if (folder / NAME).exists() and load(folder) != batch:
        raise RunError(f"`{folder}` holds another batch", "choose another folder with --out, or give the same list and settings")
    for name, toml in batch.recipes.items():
        replace_atomically(batch.recipe_file(name, folder), lambda path, toml=toml: path.write_text(toml, encoding="utf-8"))  # type: ignore[misc]
    text = json.dumps(asdict(batch), indent=2, ensure_ascii=False) + "\n"
    replace_atomically(folder / NAME, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def load(folder: Path) -> Batch:
    """The batch of a folder.

    Raises RunError when it has none, or a damaged one.
    """
    try:
        table: dict[str, Any] = json.loads(read_plain(folder / NAME, 1 << 28))
        rows = [
            Row(
                str(row["prompt"]), int(row["seed"]), Path(str(row["folder"])).name, str(row.get("negative", "")),
                str(row.get("recipe", "")), tuple(str(text) for text in row.get("settings", ())),
            )
            for row in table.pop("rows")
        ]  # fmt: skip
        recipes = {str(name): str(toml) for name, toml in dict(table.get("recipes", {})).items()}
        return Batch(str(table["recipe"]), [str(text) for text in table["settings"]], str(table["device"]), rows, recipes)
    except FileNotFoundError:
        raise RunError(f"`{folder}` holds no batch", "make one with `df3d batch FILE --out DIR`") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(f"`{folder / NAME}` is damaged: {error}", "give the same list again, with another --out") from None
