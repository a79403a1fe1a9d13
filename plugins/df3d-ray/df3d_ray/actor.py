"""What runs on a node: one worker of a batch, as a child process of an actor.

The worker is a process of its own so that it ends as elsewhere: on a signal it saves, and what spoils it leaves the actor alone.
"""

from __future__ import annotations

import os
import platform
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

from df3d_ray.packing import notes_of, pack, put_notes, unpack

STARTS = 5  # of a worker that ends before it has made a run


def versions() -> dict[str, str]:
    """What has to be the same on all nodes, Ray aside, which looks for itself."""
    return {"python": platform.python_version(), "df3d": version("df3d")}


class Hands:
    """The actor. `stop` may be called while another call is at work."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        # The worker stops when this process goes: Ray kills actors, but not what they have started.
        self._environment = {**os.environ, **environment, "DF3D_PARENT": str(os.getpid())}
        self._worker: subprocess.Popen[str] | None = None
        self._folder = Path(tempfile.gettempdir(), f"df3d-batch-{os.getpid()}-{secrets.token_hex(8)}")  # where no folder is shared
        self._stopping = False

    def about(self, folder: str) -> dict[str, object]:
        """Where it runs, with what, and whether it sees the batch's folder."""
        return {"node": platform.node(), "sees": Path(folder, "batch.json").is_file(), "versions": versions()}

    def work(self, command: Sequence[str]) -> int:
        """Be a worker of a folder that every node sees; returns its exit code."""
        self._start(command)
        assert self._worker is not None
        return self._worker.wait()

    def make(self, command: Sequence[str], batch: str, name: str, begun: bytes | None, tries: str) -> tuple[bytes | None, str]:
        """Make the run `name` of a batch whose folder is elsewhere; returns its folder and what is noted of failed tries.

        `begun` is what there is of the run, `tries` what was noted before. The worker stays for the next run.
        """
        self._folder.mkdir(mode=0o700, exist_ok=True)
        place = self._folder / name
        (self._folder / "batch.json").write_text(batch, encoding="utf-8")
        if begun is not None:
            unpack(begun, place, self._folder / ".batch")
        put_notes(self._folder, name, tries)
        for _ in range(STARTS):
            if self._worker is None or self._worker.poll() is not None:
                self._start([*command, "--worker", str(self._folder), "--names"])
            if self._stopping or self._ask(name):
                break
            assert self._worker is not None
            self._worker.kill()  # it may take a while to end, and would be asked again meanwhile
            self._worker.wait()
        made = pack(place)
        shutil.rmtree(place, ignore_errors=True)
        return made, notes_of(self._folder, name)

    def stop(self) -> None:
        """Let the worker save and end."""
        self._stopping = True
        if self._worker is not None:
            self._worker.terminate()

    def clean(self) -> None:
        """Let the worker end, and remove what it left on the node."""
        self.stop()
        if self._worker is not None:
            self._worker.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _start(self, command: Sequence[str]) -> None:
        own = [sys.executable, *command[1:]]  # the path of Python may differ from node to node
        self._worker = subprocess.Popen(
            own, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
        )

    def _ask(self, name: str) -> bool:
        """Whether the worker had its turn at the run; if not, it ended meanwhile."""
        assert self._worker is not None
        assert self._worker.stdin is not None
        assert self._worker.stdout is not None
        try:
            print(name, file=self._worker.stdin, flush=True)
        except OSError:
            return False
        return any(line.strip() == name for line in self._worker.stdout)
