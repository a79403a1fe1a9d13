"""A worker of a batch: makes one run after the other until none is left. Several may work in one folder."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from df3d.batches.plan import Row, load
from df3d.errors import Df3dError
from df3d.events import Event
from df3d.plugin.catalog import Catalog
from df3d.run.job import prepare
from df3d.run.rundir import RunDir
from df3d.system.text import printable


def work(folder: Path, catalog: Catalog, tell: Callable[[Row, Event], None] = lambda row, event: None) -> list[str]:
    """Make every run that is not finished and not another worker's; returns what failed, a line each."""
    batch, failed = load(folder), []
    for row in batch.rows:
        place = folder / row.folder
        if (place / "run.json").exists() and RunDir(place).asset() is not None:
            continue
        try:
            job = prepare(row.prompt, recipe=batch.recipe, settings=batch.settings, device=batch.device, catalog=catalog)
            job.run(place, row.seed, lambda event, row=row: tell(row, event))  # type: ignore[misc]
        except Df3dError as error:
            if "is in use by another df3d" not in error.message:
                failed.append(f"{row.folder}: {error.message}")
                print(printable(f"error: {failed[-1]}"), file=sys.stderr)
    return failed


def unfinished(folder: Path) -> list[Row]:
    """The runs that have no asset yet."""
    return [row for row in load(folder).rows if RunDir(folder / row.folder).asset() is None]
