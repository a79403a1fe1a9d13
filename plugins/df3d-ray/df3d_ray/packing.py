"""What goes from machine to machine: a run folder as bytes, whole or not at all, and the notes on its failed tries."""

from __future__ import annotations

import io
import os
import secrets
import shutil
import tarfile
from pathlib import Path


def pack(folder: Path) -> bytes | None:
    """The regular files of a folder, its lock aside; None where there is no folder."""
    if not folder.is_dir():
        return None
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and not path.is_symlink() and not path.name.startswith((".lock", ".lease")):
                archive.add(path, str(path.relative_to(folder)))
    return data.getvalue()


def unpack(data: bytes, folder: Path, beside: Path) -> None:
    """Put what `pack` made in place of a folder. `beside` is a folder of the same file system, for what is not whole yet."""
    new, old = (beside / f"{word}-{secrets.token_hex(8)}" for word in ("new", "old"))
    new.mkdir(parents=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            archive.extractall(new, filter="data")
        if folder.exists():
            os.rename(folder, old)
        os.rename(new, folder)
    finally:
        for path in (new, old):
            shutil.rmtree(path, ignore_errors=True)


def notes_of(folder: Path, name: str) -> str:
    """What the batch in `folder` has noted of failed tries at a run; "" where there were none."""
    path = _notes(folder, name)
    return path.read_text(encoding="utf-8") if path.is_file() else ""


def put_notes(folder: Path, name: str, notes: str) -> None:
    """Note the same in another folder of the batch."""
    path = _notes(folder, name)
    if notes:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(notes, encoding="utf-8")
    else:
        path.unlink(missing_ok=True)


def _notes(folder: Path, name: str) -> Path:
    return folder / ".batch" / "attempts" / f"{name}.json"
