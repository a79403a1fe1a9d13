"""A batch from its list to its assets: workers are started, watched and replaced, and what became of the runs is written down."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from df3d.batches import plan, summary
from df3d.batches.plan import Batch
from df3d.batches.summary import State
from df3d.errors import ConfigError, RunError, Stopped, did_you_mean
from df3d.plugin.catalog import Catalog
from df3d.plugin.records import LauncherPlugin
from df3d.plugin.schema import parse
from df3d.protocols import Launcher, Sized, Worker
from df3d.recipe.settings import parse_setting

ENDED = (0, 1, 130)  # exit codes of workers that ended by themselves: all done, some failed, stopped
PATIENCE = 60.0  # seconds that workers have to end when all is given up
LOST = 5  # workers in a row that may end otherwise while nothing gets done


@dataclass(frozen=True)
class Crew:
    """Who makes the runs: a launcher, how many workers (0: as many as it finds right), and how often and long a run is tried."""

    launcher: LauncherPlugin
    config: Any
    workers: int = 0
    retries: int = 2
    timeout: float | None = None  # seconds

    def count(self, runs: int) -> int:
        """How many workers to start for so many runs."""
        return max(1, min(self.workers or (built.workers() if isinstance(built := self._built(), Sized) else 1), runs))

    def _built(self) -> Launcher:
        return self.launcher.build(self.config)


def crew(
    catalog: Catalog,
    launcher: str,
    settings: Sequence[str] = (),
    *,
    gpus: float | None = None,
    workers: int = 0,
    retries: int = 2,
    timeout: float | None = None,
) -> Crew:
    """The crew of a batch; `settings` are KEY=VALUE of the launcher's options, and `gpus` its option of that name.

    Raises PluginError, ConfigError or ModelError when there is no such launcher, it has no such option, or it cannot work here.
    """
    plugin = catalog.launchers.get(launcher)
    known = [field.name for field in fields(plugin.config)]
    if wrong := next((text for text in settings if "=" not in text), None):
        raise ConfigError(f"`--launch {wrong}` has no `KEY=VALUE`", "write for example --launch threads=2")
    told = dict(parse_setting(text) for text in settings) | ({} if gpus is None else {"gpus": gpus})
    if gpus is not None and "gpus" not in known:
        raise ConfigError(f"launcher `{launcher}` gives out no GPUs", "leave out --gpus-per-worker and --workers-per-gpu")
    if unknown := next((key for key in told if key not in known), None):
        hint = did_you_mean(unknown, known) if known else "it has none"
        raise ConfigError(f"launcher `{launcher}` has no option `{unknown}`", hint)
    config: Any = parse(plugin.config, told, launcher)
    plugin.ask("ready", config)
    return Crew(plugin, config, workers, retries, timeout)


def make(
    batch: Batch,
    folder: Path,
    crew: Crew,
    *,
    choose: Callable[[list[State]], list[State]] = lambda found: found,
    on_wait: Callable[[], object] = lambda: None,
    stop: threading.Event | None = None,
) -> list[State]:
    """What became of each run, once all have been tried. `choose` may mark the best; `on_wait` is called now and then.

    Raises Stopped when `stop` was set, once the workers have saved and ended, and RunError when none can be started.
    """
    plan.save(batch, folder)
    command = [sys.executable, "-m", "df3d", "batch", "--worker", str(folder), "--retries", str(crew.retries)]
    if crew.timeout is not None:
        command += ["--timeout", f"{crew.timeout:g}s"]
    stop = stop or threading.Event()
    found: list[State] = []
    try:
        if left := sum(state.state != "done" for state in summary.states(folder)):
            _oversee(crew.launcher.build(crew.config), command, crew.count(left), folder, on_wait, stop)
        found = summary.states(folder)
        if stop.is_set():
            raise Stopped
        found = choose(found)
    finally:
        summary.write(folder, found or summary.states(folder))
    return found


def check_all_done(found: Sequence[State]) -> None:
    """Raises RunError when a run failed. One that waits still, or is another's, has not."""
    if failed := [state for state in found if state.state == "failed"]:
        raise RunError(
            f"{len(failed)} of {len(found)} runs failed, `{failed[0].row.prompt}` first: {failed[0].message}",
            "`df3d batch status DIR` shows all; after `df3d batch retry DIR` the same command tries them again",
        )


def _oversee(
    launcher: Launcher, command: Sequence[str], count: int, folder: Path, on_wait: Callable[[], object], stop: threading.Event
) -> None:
    """Wait until all workers have ended. One that was killed is replaced; after `stop` none is, and all save and end."""
    workers: list[Worker] = list(launcher.start(command, count, {}))
    lost, before, asked = 0, "", False
    try:
        while workers:
            on_wait()
            if stop.is_set() and not asked:
                asked = True
                for worker in workers:
                    worker.cancel()
            for worker in [worker for worker in workers if worker.poll() is not None]:
                workers.remove(worker)
                if (code := worker.poll()) in ENDED or stop.is_set():
                    continue
                now = summary.progress(folder)
                lost, before = (lost + 1, before) if now == before else (1, now)
                if lost > LOST:
                    raise RunError(f"{lost} workers in a row ended, the last with exit code {code}", "what they said stands above")
                workers += launcher.start(command, 1, {})
            time.sleep(0.2)
    except BaseException:  # a second Ctrl-C among them
        for worker in workers:
            worker.cancel()
        until = time.monotonic() + PATIENCE
        while any(worker.poll() is None for worker in workers) and time.monotonic() < until:
            time.sleep(0.2)
        raise
