"""A batch from its list to its assets: workers are started, waited for, and what became of the runs is written down."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from df3d.batches import plan, summary
from df3d.batches.plan import Batch
from df3d.errors import RunError
from df3d.plugin.catalog import Catalog
from df3d.protocols import Worker


def make(
    batch: Batch,
    folder: Path,
    catalog: Catalog,
    *,
    launcher: str,
    workers: int,
    retries: int,
    on_wait: Callable[[], object] = lambda: None,
) -> list[Path]:
    """The folders of the finished runs. `on_wait` is called now and then.

    Raises RunError when a run failed, once all have been tried, and KeyboardInterrupt after Ctrl-C, once the workers were asked
    to stop.
    """
    plugin = catalog.launchers.get(launcher)
    plan.save(batch, folder)
    command = [sys.executable, "-m", "df3d", "batch", "--worker", str(folder), "--retries", str(retries)]
    try:
        codes = _wait(plugin.build(plugin.config()).start(command, workers, {}), on_wait)
    finally:
        found = summary.states(folder)
        summary.write(folder, found)
    left = [state.row for state in found if state.state != "done"]
    if left and any(codes):
        count = f"{len(left)} of {len(found)} runs"
        hint = "`df3d batch status DIR` says why; after `df3d batch retry DIR` the same command tries them again"
        raise RunError(f"{count} did not finish, `{left[0].prompt}` first", hint)
    return [folder / state.row.folder for state in found if state.state == "done"]


def _wait(workers: Sequence[Worker], on_wait: Callable[[], object]) -> list[int | None]:
    """Their exit codes, once all have ended; Ctrl-C asks them to save and stop."""
    try:
        while any(worker.poll() is None for worker in workers):
            on_wait()
            time.sleep(0.2)
    except KeyboardInterrupt:
        for worker in workers:
            worker.cancel()
        while any(worker.poll() is None for worker in workers):  # each saves the run in work
            time.sleep(0.2)
        raise
    return [worker.poll() for worker in workers]
