"""Workers that somebody else starts: their command is printed."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

from df3d.batches.launchers.options import PrintConfig


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
