"""Workers as processes on this machine: one for each GPU, or as many as the cores carry."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence

from df3d.batches.launchers.options import LocalConfig
from df3d.system import cpu, devices

PARENT = "DF3D_PARENT"  # the process whose end a worker takes as a wish to stop


class LocalWorker:
    """A child process; its error output is this process's own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def poll(self) -> int | None:
        return self._process.poll()

    def cancel(self) -> None:
        self._process.terminate()


class LocalLauncher:
    """Shares out the cores and the GPUs among its workers; one that is started later takes the place of one that ended."""

    def __init__(self, config: LocalConfig) -> None:
        self._config = config
        self._places: list[LocalWorker | None] = []

    def workers(self) -> int:
        """As many as the GPUs carry; without a GPU one for each core: two of one core make more than one of two."""
        gpus = devices.visible_gpus()
        return max(1, int(len(gpus) / self._config.gpus)) if gpus and self._config.gpus else cpu.threads()

    def start(self, command: Sequence[str], count: int, environment: Mapping[str, str]) -> list[LocalWorker]:
        free = [place for place, worker in enumerate(self._places) if worker is None or worker.poll() is not None][:count]
        new = range(len(self._places), len(self._places) + count - len(free))
        self._places += [None] * len(new)
        started = []
        for place in (*free, *new):
            env = {**os.environ, **self._share(place), PARENT: str(os.getpid()), **environment}
            # A session of its own: Ctrl-C reaches this process alone, which then asks its workers once.
            process = subprocess.Popen(
                command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
            )
            worker = LocalWorker(process)
            self._places[place] = worker
            started.append(worker)
        return started

    def _share(self, place: int) -> dict[str, str]:
        """The variables that give a worker its cores and its GPUs."""
        threads = self._config.threads or max(1, cpu.threads() // len(self._places))
        share, gpus = {"OMP_NUM_THREADS": str(threads)}, devices.visible_gpus()
        if gpus and self._config.gpus:
            each = max(1, int(self._config.gpus))
            first = place * each if self._config.gpus >= 1 else int(place * self._config.gpus)
            share["CUDA_VISIBLE_DEVICES"] = ",".join(gpus[(first + index) % len(gpus)] for index in range(each))
        return share
