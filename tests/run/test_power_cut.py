"""A power cut at any moment leaves a whole checkpoint: the system calls of a few saves are recorded, and every prefix replayed."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from df3d.errors import RunError
from df3d.run.checkpoint import Checkpoints

SAVES = """
import sys, torch
from pathlib import Path
from df3d.run.checkpoint import Checkpoints
class Part(torch.nn.Linear):
    parameter_groups = before_step = None
kept = Checkpoints(Path(sys.argv[1]))
for step in (2, 4, 6, 8):
    kept.save(step, {"field": Part(30, 20)}, None)
"""
TEXT = r'"((?:\\x[0-9a-f]{2})*)"(?:\.\.\.)?'
CALLS = {
    "open": re.compile(rf"openat\([^,]*, {TEXT}, ([A-Z_|]+)[^)]*\) = (\d+)"),
    "write": re.compile(rf"write\((\d+)[^,]*, {TEXT}, \d+\) = (\d+)"),
    "pwrite": re.compile(rf"pwrite64\((\d+)[^,]*, {TEXT}, \d+, (\d+)\) = \d+"),
    "truncate": re.compile(r"ftruncate\((\d+)[^,]*, (\d+)\) = 0"),
    "rename": re.compile(rf"rename(?:at2?)?\((?:[^,\"]*, )?{TEXT}, (?:[^,\"]*, )?{TEXT}"),
    "unlink": re.compile(rf"unlink(?:at)?\((?:[^,\"]*, )?{TEXT}"),
    "fsync": re.compile(r"f(?:data)?sync\((\d+)"),
    "close": re.compile(r"close\((\d+)"),
}


@dataclass
class File:
    data: bytearray = field(default_factory=bytearray)
    on_disk: bytes = b""  # what a cut leaves of it


class Disk:
    """One folder. The disk may have done any of what it was asked since it was last told to finish (fsync), or none of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.names: dict[str, File] = {}
        self.names_on_disk: dict[str, File] = {}
        self.open: dict[int, tuple[str, File | None, int]] = {}

    def apply(self, line: str) -> None:
        for call, pattern in CALLS.items():
            if (found := pattern.search(line)) and " = -1" not in line:
                getattr(self, f"_{call}")(*found.groups())
                return

    def _open(self, path: str, flags: str, handle: str) -> None:
        name = self._name(path)
        here = self.names.get(name)
        if "O_CREAT" in flags and name and here is None:
            here = self.names[name] = File()
        if here is not None and "O_TRUNC" in flags:
            here.data.clear()
        self.open[int(handle)] = (_text(path), here, 0)

    def _write(self, handle: str, data: str, count: str) -> None:
        path, file, place = self.open.get(int(handle), ("", None, 0))
        if file is not None:
            file.data[place : place + int(count)] = bytes.fromhex(data.replace("\\x", ""))[: int(count)]
            self.open[int(handle)] = (path, file, place + int(count))

    def _pwrite(self, handle: str, data: str, place: str) -> None:
        file = self.open.get(int(handle), ("", None, 0))[1]
        if file is not None:
            raw = bytes.fromhex(data.replace("\\x", ""))
            file.data[int(place) : int(place) + len(raw)] = raw

    def _truncate(self, handle: str, size: str) -> None:
        file = self.open.get(int(handle), ("", None, 0))[1]
        if file is not None:
            file.data[:] = file.data[: int(size)].ljust(int(size), b"\0")

    def _rename(self, old: str, new: str) -> None:
        if self._name(old) in self.names:
            self.names[self._name(new)] = self.names.pop(self._name(old))

    def _unlink(self, path: str) -> None:
        self.names.pop(self._name(path), None)

    def _fsync(self, handle: str) -> None:
        path, file, _ = self.open.get(int(handle), ("", None, 0))
        if file is not None:
            file.on_disk = bytes(file.data)
        elif Path(path) == self.folder:
            self.names_on_disk = dict(self.names)

    def _close(self, handle: str) -> None:
        self.open.pop(int(handle), None)

    def _name(self, path: str) -> str:
        """The name in the folder; "" for a path elsewhere."""
        place = Path(_text(path))
        return place.name if place.parent == self.folder else ""

    def after_a_cut(self) -> Iterator[dict[str, bytes]]:
        """What may be there then, at best and at worst."""
        for names in (self.names, self.names_on_disk):
            yield {name: bytes(file.data) for name, file in names.items()}
            yield {name: file.on_disk for name, file in names.items()}


def _text(path: str) -> str:
    return bytes.fromhex(path.replace("\\x", "")).decode()


@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_some_whole_checkpoint_is_always_there_and_found(tmp_path: Path) -> None:
    folder, record = tmp_path / "coarse", tmp_path / "calls"
    calls = "trace=openat,write,pwrite64,ftruncate,rename,renameat,renameat2,unlink,unlinkat,fsync,fdatasync,close"
    command = ["strace", "-ff", "-xx", "-s", "10000000", "-e", calls, "-o", str(record)]
    done = subprocess.run([*command, sys.executable, "-c", SAVES, str(folder)], capture_output=True, text=True, timeout=300)
    if "ptrace" in done.stderr:
        pytest.skip("this system lets nobody trace")
    assert done.returncode == 0, done.stderr
    wanted = str(folder).encode().hex(" ").replace(" ", "\\x")
    (traced,) = [path for path in tmp_path.glob("calls.*") if f"\\x{wanted}\\x2f" in path.read_text()]
    disk, newest, cuts = Disk(folder), 0, 0
    before: list[dict[str, bytes]] = []
    for line in traced.read_text().splitlines():
        disk.apply(line)
        states = list(disk.after_a_cut())
        if states == before:
            continue
        before = states
        for left in states:
            place = tmp_path / "after"
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            for name, data in left.items():
                (place / name).write_bytes(data)
            found = whole(place)
            assert found >= newest, f"a cut after {line[:200]} left {sorted(left)} of step {newest}"
            cuts += 1
        newest = found  # of the worst state, the last: what was safe once stays so
    assert newest == 8
    assert cuts > 40


def whole(folder: Path) -> int:
    """The step of the checkpoint from which a run would go on; it can be read. 0 without one."""
    import torch

    class Part(torch.nn.Linear):
        parameter_groups = before_step = None

    try:
        return Checkpoints(folder).restore({"field": Part(30, 20)})  # type: ignore[dict-item]
    except RunError as error:
        raise AssertionError(error.message) from None
