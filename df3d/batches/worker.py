"""A worker of a batch: makes one run after the other until none is left. Several may work in one folder.

A run belongs to whoever holds the lock of its folder. Models stay loaded from one run to the next; after a run that failed they
are loaded anew, and where the process itself may be spoiled (memory ran out, a GPU reported an error) it is replaced.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from socket import gethostname

from df3d.batches import attempts
from df3d.batches.launchers.local import PARENT
from df3d.batches.plan import OWN, Row, load
from df3d.errors import Df3dError, InUseError, RunError, Stopped
from df3d.events import Event, RunStarted, Stepped
from df3d.plugin.catalog import Catalog
from df3d.run import signals
from df3d.run.job import prepare
from df3d.run.kept import KeptGuidance
from df3d.run.recovery import out_of_memory
from df3d.run.rundir import RunDir
from df3d.system.files import read_plain
from df3d.system.text import printable

NOW = "workers"  # of the batch's own folder: what each worker does now, a file each
EVERY = 1.0  # seconds between two words on it
STALE = 120.0  # seconds after which a word is of a worker that is gone
GRACE = 60.0  # seconds that a run may take to save and end once its time is over
REPLACE = 75  # exit code of a process that is to be replaced


class Spoiled(Exception):
    """The process should make no other run: start a new one in its place."""


class _GivenUp(Exception):
    """A run has killed as many workers as it may."""


class Worker:
    """Makes runs of the batch in `folder`; one that failed is tried again up to `retries` times, each for `timeout` seconds."""

    def __init__(self, folder: Path, catalog: Catalog, *, retries: int = 0, timeout: float | None = None) -> None:
        self.batch = load(folder)
        self._folder, self._catalog, self._retries, self._timeout = folder, catalog, retries, timeout
        self._kept = KeptGuidance()
        self._now = Now(folder)
        self._parent = int(os.environ.get(PARENT, "0"))

    def work(self, names: Iterable[str] | None = None) -> Iterator[str]:
        """Make every run, or those of the folders `names` as they come, unless it is finished, another worker's, or given up.

        Yields each name after its turn. Raises Stopped when a signal asked to stop, the run in work saved; and Spoiled.
        """
        rows = {row.folder: row for row in self.batch.rows}
        try:
            for name in rows if names is None else names:
                row = rows[name]
                while self._is_wanted(row) and self._make(row):
                    pass
                yield name
        finally:
            self._now.end()

    def left(self) -> list[str]:
        """What failed, a line each."""
        left = [row for row in self.batch.rows if not is_finished(self._folder / row.folder)]
        failed = [(row, attempts.of(self._folder, row)) for row in left]
        return [f"{row.folder}: {found.message}" for row, found in failed if found.times]

    def _is_wanted(self, row: Row) -> bool:
        return not is_finished(self._folder / row.folder) and attempts.of(self._folder, row).times <= self._retries

    def _make(self, row: Row) -> bool:
        """Whether the run's turn is not over: it is made or failed, and another look says which."""
        place, batch = self._folder / row.folder, self.batch
        late = threading.Event()
        try:
            job = prepare(
                row.prompt, recipe=batch.recipe_of(row, self._folder), settings=batch.settings_of(row), negative=row.negative,
                device=batch.device, catalog=self._catalog,
            )  # fmt: skip
            job = replace(job, kept=self._kept)
            with self._asked_to_stop(row, job.stop, late):
                job.run(place, row.seed, partial(self._hear, row))
            attempts.save(self._folder, row, attempts.Attempts())
        except Stopped:
            if not late.is_set():
                attempts.save(self._folder, row, replace(attempts.of(self._folder, row), begun=None))
                raise
            self._failed(row, self._late())
        except (InUseError, _GivenUp):
            return False
        except Exception as error:  # whatever it is, the other runs have nothing to do with it
            self._failed(row, error.message if isinstance(error, Df3dError) else f"{type(error).__name__}: {error}")
            if not isinstance(error, Df3dError) and (out_of_memory(error) or "CUDA error" in str(error)):
                raise Spoiled from error
        gc.collect()
        return True

    def _hear(self, row: Row, event: Event) -> None:
        """Note what the run does; at its start, with its lock held, that it is begun."""
        if isinstance(event, RunStarted):
            begun = attempts.of(self._folder, row).begin(attempts.how_far(self._folder / row.folder))
            if begun.times > self._retries:
                attempts.save(self._folder, row, replace(begun, begun=None))
                print(printable(f"error: {row.folder}: {begun.message}"), file=sys.stderr)
                raise _GivenUp
            attempts.save(self._folder, row, begun)
        self._now.tell(row, event)

    def _failed(self, row: Row, message: str) -> None:
        self._kept.forget()
        print(printable(f"error: {row.folder}: {message}"), file=sys.stderr)
        attempts.save(self._folder, row, attempts.of(self._folder, row).failed(message))

    @contextmanager
    def _asked_to_stop(self, row: Row, stop: threading.Event, late: threading.Event) -> Iterator[None]:
        """Signals set `stop`; so do the end of the process that started this one, and that of the run's time, which sets `late`."""
        ended = threading.Event()
        threading.Thread(target=self._watch, args=(row, stop, late, ended), daemon=True).start()
        try:
            with signals.listening(stop, lambda words: None):
                yield
        finally:
            ended.set()

    def _watch(self, row: Row, stop: threading.Event, late: threading.Event, ended: threading.Event) -> None:
        """Look now and then; a process that does not end even so is ended, and another takes its place."""
        over = time.monotonic() + (self._timeout or float("inf"))
        while not ended.wait(min(1.0, max(over - time.monotonic(), 0.01))):
            if time.monotonic() >= over:
                late.set()
                stop.set()
                if not ended.wait(GRACE):
                    self._failed(row, self._late())
                    os._exit(REPLACE)
                return
            if self._parent and os.getppid() != self._parent:
                stop.set()

    def _late(self) -> str:
        return f"it was not made in {self._timeout:g} s (--timeout)"


@dataclass(frozen=True)
class Doing:
    """What a worker does now."""

    worker: str
    run: str
    stage: str = ""
    step: int = 0
    of: int = 0
    seconds_per_step: float = 0.0


class Now:
    """Tells what this worker does, in a file of the batch's folder: for people, who may look from another machine."""

    def __init__(self, folder: Path) -> None:
        self._name = f"{gethostname()}-{os.getpid()}"
        self._path, self._next = folder / OWN / NOW / f"{self._name}.json", 0.0

    def tell(self, row: Row, event: Event) -> None:
        if isinstance(event, RunStarted):
            self._write(Doing(self._name, row.folder))
        elif isinstance(event, Stepped) and time.monotonic() >= self._next:
            self._write(Doing(self._name, row.folder, event.stage, event.step, event.of, event.seconds_per_step))

    def end(self) -> None:
        with suppress(OSError):
            self._path.unlink(missing_ok=True)
            self._path.parent.rmdir()

    def _write(self, doing: Doing) -> None:
        """Quickly and without care: what is lost here is told again."""
        self._next = time.monotonic() + EVERY
        with suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self._path.with_suffix(".tmp")
            temporary.write_text(json.dumps(asdict(doing)), encoding="utf-8")
            os.replace(temporary, self._path)


def doing(folder: Path) -> list[Doing]:
    """What the workers of a batch do now; a file that nobody has touched for a while is of one that is gone."""
    found = []
    for path in sorted((folder / OWN / NOW).glob("*.json")):
        with suppress(OSError, ValueError, TypeError, RecursionError):
            if time.time() - path.stat().st_mtime < STALE:
                found.append(Doing(**json.loads(read_plain(path, 1 << 16))))
    return found


def is_finished(place: Path) -> bool:
    """Whether the run of a folder has its asset; one that is damaged has none."""
    try:
        return (place / "run.json").exists() and RunDir(place).asset() is not None
    except RunError:
        return False
