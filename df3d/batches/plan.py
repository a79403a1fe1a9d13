"""A batch: a list of runs, each with its folder, kept as `batch.json` in the batch's own folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from df3d.errors import RunError
from df3d.run.rundir import default_path
from df3d.system.files import read_plain, replace_atomically

NAME = "batch.json"


@dataclass(frozen=True)
class Row:
    """One run of a batch."""

    prompt: str
    seed: int
    folder: str  # inside the batch's


@dataclass(frozen=True)
class Batch:
    """Runs that share everything but prompt and seed."""

    recipe: str
    settings: list[str]  # KEY=VALUE
    device: str
    rows: list[Row]


def make(prompts: Sequence[str], seeds: Sequence[int], recipe: str, settings: Sequence[str], device: str) -> Batch:
    """Every prompt with every seed, each in a folder of its own.

    Raises RunError when two rows would share one.
    """
    rows = [Row(prompt, seed, default_path(prompt, seed).name) for prompt in prompts for seed in seeds]
    folders = [row.folder for row in rows]
    if len(set(folders)) < len(folders):
        twice = next(row.prompt for row in rows if folders.count(row.folder) > 1)
        raise RunError(f"`{twice}` is in the list twice", "give each prompt once; --seeds makes several of each")
    return Batch(recipe, list(settings), device, rows)


def save(batch: Batch, folder: Path) -> None:
    """Leave the list in the batch's folder.

    Raises RunError when another batch lives there, or it cannot be written.
    """
    if (folder / NAME).exists() and load(folder) != batch:
        raise RunError(f"`{folder}` holds another batch", "choose another folder with --out, or give the same list and settings")
    text = json.dumps(asdict(batch), indent=2, ensure_ascii=False) + "\n"
    replace_atomically(folder / NAME, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def load(folder: Path) -> Batch:
    """The batch of a folder.

    Raises RunError when it has none, or a damaged one.
    """
    try:
        table: dict[str, Any] = json.loads(read_plain(folder / NAME, 1 << 28))
        rows = [Row(str(row["prompt"]), int(row["seed"]), Path(str(row["folder"])).name) for row in table.pop("rows")]
        return Batch(str(table["recipe"]), [str(text) for text in table["settings"]], str(table["device"]), rows)
    except FileNotFoundError:
        raise RunError(f"`{folder}` holds no batch", "make one with `df3d batch FILE --out DIR`") from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise RunError(f"`{folder / NAME}` is damaged: {error}", "give the same list again, with another --out") from None
