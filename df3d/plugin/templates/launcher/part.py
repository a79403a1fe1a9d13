"""A launcher: it starts the workers of a batch. One for a cluster would submit jobs here."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence

from df3d_my_part.config import MyPartConfig

NICE = "import os, sys; os.nice(int(sys.argv[1])); os.execvp(sys.argv[2], sys.argv[2:])"


class Process:
    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    def poll(self) -> int | None:
        """Its exit code, or None while it works."""
        return self._process.poll()

    def cancel(self) -> None:
        """It saves a checkpoint and ends."""
        self._process.terminate()


class MyPart:
    def __init__(self, config: MyPartConfig) -> None:
        self.config = config

    def start(self, command: Sequence[str], count: int, environment: Mapping[str, str]) -> list[Process]:
        polite = [sys.executable, "-c", NICE, str(self.config.niceness), *command]
        return [Process(subprocess.Popen(polite, env={**os.environ, **environment})) for _ in range(count)]
