"""A worker of a batch: makes one run after the other until none is left. Several may work in one folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

from df3d.batches.plan import Row, load
from df3d.errors import Df3dError, InUseError, Stopped
from df3d.events import Event
from df3d.plugin.catalog import Catalog
from df3d.run import signals
from df3d.run.job import prepare
from df3d.run.rundir import RunDir
from df3d.system.files import read_plain, replace_atomically
from df3d.system.text import printable

FAILURES = "failures"  # the folder of what went wrong, a file a run


def work(
    folder: Path, catalog: Catalog, *, retries: int = 0, tell: Callable[[Row, Event], None] = lambda row, event: None
) -> list[str]:
    """Make every run that is not finished, not another worker's, and has not failed more than `retries` times.

    Returns what failed, a line each. Raises Stopped when a signal asked to stop; the run in work has saved by then.
    """
    batch = load(folder)
    for row in batch.rows:
        place = folder / row.folder
        while not is_finished(place) and failures(folder, row)[0] <= retries:
            try:
                job = prepare(
                    row.prompt, recipe=batch.recipe_of(row), settings=batch.settings_of(row), negative=row.negative,
                    device=batch.device, catalog=catalog,
                )  # fmt: skip
                with signals.listening(job.stop, lambda words: None):
                    job.run(place, row.seed, lambda event, row=row: tell(row, event))  # type: ignore[misc]
            except Stopped:
                raise
            except InUseError:
                break
            except Exception as error:  # whatever it is, the other runs have nothing to do with it
                message = error.message if isinstance(error, Df3dError) else f"{type(error).__name__}: {error}"
                _failed(folder, row, message)
    left = [(row, *failures(folder, row)) for row in batch.rows if not is_finished(folder / row.folder)]
    return [f"{row.folder}: {message}" for row, times, message in left if times]


def is_finished(place: Path) -> bool:
    """Whether the run of a folder has its asset."""
    return (place / "run.json").exists() and RunDir(place).asset() is not None


def failures(folder: Path, row: Row) -> tuple[int, str]:
    """How often a run has failed, and how the last time."""
    try:
        table = json.loads(read_plain(folder / FAILURES / f"{row.folder}.json", 1 << 20))
        return int(table["times"]), str(table["message"])
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return 0, ""


def forget_failures(folder: Path) -> int:
    """Let every run be tried again; returns how many had failed."""
    found = list((folder / FAILURES).glob("*.json"))
    for path in found:
        path.unlink(missing_ok=True)
    return len(found)


def _failed(folder: Path, row: Row, message: str) -> None:
    print(printable(f"error: {row.folder}: {message}"), file=sys.stderr)
    (folder / FAILURES).mkdir(exist_ok=True)
    text = json.dumps({"times": failures(folder, row)[0] + 1, "message": message}, ensure_ascii=False) + "\n"
    replace_atomically(folder / FAILURES / f"{row.folder}.json", lambda temporary: temporary.write_text(text, encoding="utf-8"))
