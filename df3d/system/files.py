"""Files: written whole or not at all, and read without following links where a stranger may have put them."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError

from df3d.errors import ConfigError, RunError

_NO_LINK = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)  # Windows has neither


def replace_atomically(path: Path, save: Callable[[Path], object]) -> None:
    """Let `save` write a new file in the folder of `path`, then put it in place in one step.

    What stood at `path` stays whole until the new file is on the disk, power cuts included; its permissions pass on to the new
    one, and a link is replaced, not followed. Raises RunError when the disk is full or the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name[:200]}.{secrets.token_hex(8)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
        save(temporary)
        with suppress(FileNotFoundError):
            old = path.lstat()
            if stat.S_ISREG(old.st_mode):
                temporary.chmod(stat.S_IMODE(old.st_mode))
        _sync(temporary)
        os.replace(temporary, path)
        _sync(path.parent)
    except (OSError, SafetensorError) as error:
        raise RunError(f"cannot write `{path}`: {error}", "free some space or choose another folder with --out") from None
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def _sync(path: Path) -> None:
    """Wait until a file, or a folder's list of files, is on the disk; not every system can do so for a folder."""
    if os.name == "nt" and path.is_dir():
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError:
        if not path.is_dir():
            raise
    finally:
        os.close(handle)


def is_plain(path: Path) -> bool:
    """Whether a regular file stands there, not a link to one."""
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except (OSError, ValueError):  # a name that no file can have
        return False


def open_plain(path: Path, flags: int = os.O_RDONLY) -> int:
    """A file descriptor of a regular file.

    Raises OSError, also where a link, a pipe or a device stands at `path`.
    """
    handle = os.open(path, flags | _NO_LINK | getattr(os, "O_CLOEXEC", 0), 0o666)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise OSError(errno.EINVAL, "it is not a regular file", str(path))
    return handle


def read_plain(path: Path, limit: int) -> bytes:
    """The content of a regular file of at most `limit` bytes.

    Raises OSError when it is larger, or not a regular file.
    """
    with os.fdopen(open_plain(path), "rb") as file:
        data = file.read(min(limit, os.fstat(file.fileno()).st_size) + 1)  # room for so many bytes is taken at once
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit:,} bytes", str(path))
    return data


def read_text(path: Path, limit: int = 1 << 24) -> str:
    """The text of a file that a person named, so that it may be a link or a pipe: UTF-8, at most `limit` bytes.

    Raises OSError or UnicodeDecodeError.
    """
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise OSError(errno.EFBIG, f"it is larger than {limit:,} bytes", str(path))
    return data.decode("utf-8-sig")


def append_plain(path: Path, text: str) -> None:
    """Append to a regular file, or make one.

    Raises OSError, also where a link, a pipe or a device stands at `path`.
    """
    with os.fdopen(open_plain(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "a", encoding="utf-8") as file:
        file.write(text)


def check_place(path: Path) -> None:
    """Raises ConfigError when no file can be written at `path`, for its folder is not there or it is one itself."""
    if not path.parent.is_dir():
        raise ConfigError(f"there is no folder `{path.parent}`", "make it first")
    if path.is_dir():
        raise ConfigError(f"`{path}` is a folder", "name a file in it")
