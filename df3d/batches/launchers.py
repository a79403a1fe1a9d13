"""df3d's own launchers: processes on this machine, and commands that are printed for something else to run."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence

from df3d.batches.options import LocalConfig, PrintConfig
from df3d.system import cpu


class LocalWorker:
    """A child process; its error output is this process's own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def poll(self) -> int | None:
        return self._process.poll()

    def cancel(self) -> None:
        self._process.terminate()


class LocalLauncher:
    """One process for each worker, the cores shared out among them."""

    def __init__(self, config: LocalConfig) -> None:
        self._threads = config.threads

    def start(self, command: Sequence[str], count: int, environment: Mapping[str, str]) -> list[LocalWorker]:
        threads = self._threads or max(1, cpu.threads() // count)
        own = {**os.environ, "OMP_NUM_THREADS": str(threads), **environment}
        return [LocalWorker(subprocess.Popen(command, env=own, stdout=subprocess.DEVNULL)) for _ in range(count)]


class PrintedWorker:
    """A command that somebody else runs."""

    def poll(self) -> int | None:
        return 0

    def cancel(self) -> None: ...


class PrintLauncher:
    """Starts nothing: prints one command a worker."""

    def __init__(self, config: PrintConfig) -> None: ...

    def start(self, command: Sequence[str], count: int, environment: Mapping[str, str]) -> list[PrintedWorker]:
        variables = "".join(f"{name}={shlex.quote(value)} " for name, value in environment.items())
        for _ in range(count):
            print(variables + shlex.join(command))
        return [PrintedWorker() for _ in range(count)]
