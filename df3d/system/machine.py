"""Where df3d runs: a folder to keep things in, and memory. Standard library only."""

from __future__ import annotations

import atexit
import ctypes
import os
import shutil
import stat
import sys
import tempfile
from functools import cache
from pathlib import Path

ROOM = 64 << 20  # bytes that the cache folder has free: kernels take a few of them


def cache_folder() -> Path:
    """Where df3d keeps what it can make again: `DF3D_CACHE`, the user's cache folder, or a temporary one.

    Compiled kernels are code, so the folder is this user's alone (`_is_private`). Where none of the usual ones is, a new
    temporary folder serves until the process ends.
    """
    given = os.environ.get("DF3D_CACHE")
    usual = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "df3d"
    user = str(os.getuid()) if hasattr(os, "getuid") else "cache"
    folders = [*([Path(given)] if given else []), usual, Path(tempfile.gettempdir()) / f"df3d-{user}"]
    return _first_private(tuple(folders), bool(given))


def use_cache_folder() -> Path:
    """Let numba, Triton and torch's compiler keep what they compile there too, unless the user has said where; returns it."""
    folder = cache_folder()
    for variable, name in (("NUMBA_CACHE_DIR", "numba"), ("TORCHINDUCTOR_CACHE_DIR", "inductor"), ("TRITON_CACHE_DIR", "triton")):
        os.environ.setdefault(variable, str(folder / name))
    return folder


@cache
def _first_private(folders: tuple[Path, ...], given: bool) -> Path:
    for number, folder in enumerate(folders):
        try:
            folder = folder.expanduser().absolute()
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if _is_private(folder):
                with tempfile.TemporaryFile(dir=folder):
                    if shutil.disk_usage(folder).free > ROOM:
                        return folder
        except (OSError, RuntimeError):
            pass
        if given and number == 0:
            why = f"`{folder}` must be a folder that is yours, that nobody else can write to, and with {ROOM >> 20} MB free"
            print(f"warning: DF3D_CACHE is not used: {why}", file=sys.stderr)
    folder = Path(tempfile.mkdtemp(prefix="df3d-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _is_private(folder: Path) -> bool:
    """Whether this is a real folder of this user's that nobody else can write to or put another in the place of.

    Closes it to others (mode 0700) where it is this user's.
    """
    if not hasattr(os, "getuid"):
        return folder.is_dir()
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or _others_write(found):
        return False
    parent = folder.parent.resolve()
    for above in (parent, *parent.parents):
        status = above.stat()
        if status.st_uid not in (0, os.getuid()) or (_others_write(status) and not status.st_mode & stat.S_ISVTX):
            return False
    folder.chmod(0o700)
    return True


def _others_write(status: os.stat_result) -> bool:
    """Whether somebody else can write there; a group of the user's own name is not somebody else."""
    import grp
    import pwd

    if status.st_mode & stat.S_IWOTH:
        return True
    if not status.st_mode & stat.S_IWGRP or status.st_gid == 0:
        return False
    try:
        return grp.getgrgid(status.st_gid).gr_name != pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return True


def peak_memory_mib() -> int | None:
    """The most memory this process has held, MiB; None where the system does not say."""
    try:
        import resource
    except ImportError:
        return None
    scale = 1 << 20 if sys.platform == "darwin" else 1 << 10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // scale


def keep_freed_memory() -> None:
    """Let glibc keep what tensors free, instead of handing pages back and faulting them in again at every step.

    Measured on two cores: a quarter of the time of a toybox step. Does nothing where there is no glibc.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return
    trim_threshold, top_pad, mmap_threshold = -1, -2, -3  # malloc.h
    mallopt(mmap_threshold, 1 << 30)
    mallopt(trim_threshold, (1 << 31) - 1)
    mallopt(top_pad, 256 << 20)
