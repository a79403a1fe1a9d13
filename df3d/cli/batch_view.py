"""How a batch is shown: a live table on a terminal, lines elsewhere; finished assets on stdout as they come."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from statistics import median
from types import TracebackType
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from df3d.batches import summary
from df3d.batches.summary import State
from df3d.batches.worker import doing
from df3d.cli.context import PlainTable, nobody_listens, put, put_json, say, table
from df3d.run.rundir import RunDir
from df3d.system.text import printable

EVERY = 2.0  # seconds between two looks at how far the runs are


class BatchView:
    """Looks at the batch in `folder` now and then. `tell`: put each asset, or with `json` each run, on stdout once it is done."""

    def __init__(self, folder: Path, *, tell: bool, json: bool) -> None:
        self._folder, self._tell, self._json = folder, tell, json
        self._done: dict[str, State] = {}
        self._told: set[str] = set()
        self._next, self._line = 0.0, ""
        self._began, self._first = time.monotonic(), -1  # when, and how many were done then
        self._live = Live(console=Console(stderr=True, highlight=False, markup=False, emoji=False), auto_refresh=False) \
            if sys.stderr.isatty() else None  # fmt: skip

    def __enter__(self) -> Self:
        if self._live:
            self._live.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._live:
            with suppress(OSError):  # the terminal may be gone
                self._live.stop()

    def look(self) -> None:
        """Show how far the runs are, if the last look is some time ago; one at many runs takes longer, and comes less often."""
        if time.monotonic() < self._next:
            return
        began = time.monotonic()
        found = summary.states(self._folder, self._done)
        if self._first < 0:
            self._first = len(self._done)
        self._show(found)
        if self._tell:
            self._put([state for state in found if state.state == "done"])
        self._next = time.monotonic() + max(EVERY, 20 * (time.monotonic() - began))

    def finish(self, found: Sequence[State] | None = None) -> None:
        """Say what came of it, and put what has not been put: the best alone where there is a best."""
        chosen = found is not None
        try:
            found = summary.states(self._folder) if found is None else found
        except Exception:  # it was stopped before there was a batch
            return
        self._show(found, last=True)
        if not self._tell and not chosen:  # stopped before the best were known
            return
        wanted = [state for state in found if self._json or (state.state == "done" if self._tell else state.best)]
        self._put(wanted)

    def _put(self, found: Sequence[State]) -> None:
        for state in found:
            if state.row.folder in self._told:
                continue
            self._told.add(state.row.folder)
            try:
                if self._json:
                    put_json(state.table())
                    continue
                asset = RunDir(self._folder / state.row.folder).asset()
                if self._live and sys.stdout.isatty():  # above the table, not into it
                    self._live.console.print(Text(printable(asset)))
                else:
                    put(asset)
            except BrokenPipeError:
                nobody_listens()

    def _show(self, found: Sequence[State], *, last: bool = False) -> None:
        text = summary.counted(found)
        if self._live:
            shown = Text(text) if last else Group(doing_table(self._folder), Text(f"{text}{self._left(found)}"))
            self._live.update(shown, refresh=True)
        elif text != self._line:
            say(text + ("" if last else self._left(found)))
            self._line = text

    def _left(self, found: Sequence[State]) -> str:
        """The time left, at the pace so far; "" before the first run is done."""
        made = len(self._done) - max(self._first, 0)
        left = sum(state.state in ("waiting", "begun", "running") for state in found)
        if not made or not left:
            return ""
        took = [state.seconds for state in self._done.values() if state.seconds]
        pace = (time.monotonic() - self._began) / made
        seconds = max(pace * left, median(took) if took else 0.0)
        return f"; about {max(1, round(seconds / 60))} min left"


def doing_table(folder: Path) -> PlainTable:
    """What each worker does now."""
    rows = table("worker", "run", "stage", "step", "s/step")
    for now in doing(folder):
        step = f"{now.step}/{now.of}" if now.of else "starting"
        rows.add_row(now.worker, now.run, now.stage, step, f"{now.seconds_per_step:.3g}" if now.of else "")
    return rows
