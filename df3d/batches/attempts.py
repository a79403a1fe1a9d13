"""What a batch remembers of runs that failed: how often and why, a file each. What they made lies in their own folders."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from df3d.batches.plan import OWN, Row, load
from df3d.system.files import read_plain, replace_atomically

FOLDER = "attempts"  # of the batch's own
DIED = "the process that made it was killed, perhaps for want of memory"


@dataclass(frozen=True)
class Attempts:
    """Of one run."""

    times: int = 0  # that it failed
    message: str = ""  # how, the last time
    begun: str | None = None  # how far it was when a worker began, until that worker says how it ended

    def failed(self, message: str) -> Attempts:
        return Attempts(self.times + 1, message)

    def begin(self, far: str) -> Attempts:
        """A worker begins, the run being so `far`. One that was begun there before and never ended has killed its worker."""
        died = self.failed(DIED) if self.begun == far else self
        return replace(died, begun=far)


def of(folder: Path, row: Row) -> Attempts:
    """The attempts at a run of the batch in `folder`; what cannot be read counts as none."""
    try:
        table = json.loads(read_plain(_path(folder, row), 1 << 20))
        begun = table.get("begun")
        return Attempts(int(table["times"]), str(table["message"]), None if begun is None else str(begun))
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return Attempts()


def save(folder: Path, row: Row, attempts: Attempts) -> None:
    """Raises RunError when it cannot be written."""
    path = _path(folder, row)
    if attempts == Attempts():
        path.unlink(missing_ok=True)
        return
    text = json.dumps(asdict(attempts), ensure_ascii=False) + "\n"
    replace_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def forget(folder: Path) -> int:
    """Let every run of a batch be tried again; returns how many had failed.

    Raises RunError when the folder holds no batch.
    """
    count = 0
    for row in load(folder).rows:
        count += of(folder, row).times > 0
        save(folder, row, Attempts())
    return count


def how_far(place: Path) -> str:
    """A word for what a run has saved: as long as it stays the same, nothing was gained."""
    return " ".join(sorted(f"{path.parent.name}/{path.stem}" for path in place.glob("*/*.safetensors")))


def _path(folder: Path, row: Row) -> Path:
    return folder / OWN / FOLDER / f"{row.folder}.json"
