"""Where df3d runs: a folder to keep things in, and memory. Standard library only."""

from __future__ import annotations

import ctypes
import os
import sys
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """Where df3d keeps what it can make again: `DF3D_CACHE`, the user's cache folder, or a temporary one."""
    home = os.environ.get("DF3D_CACHE") or os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "df3d")
    for folder in (Path(home), Path(tempfile.gettempdir()) / f"df3d-{os.getuid() if hasattr(os, 'getuid') else 'cache'}"):
        try:
            folder = folder.expanduser()
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                return folder
        except (OSError, RuntimeError):
            continue
    return Path(tempfile.mkdtemp(prefix="df3d-"))


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
