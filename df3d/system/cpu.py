"""Compiled CPU kernels: numba functions that run on every core and never fight torch's own threads.

Kernels release the GIL and take a range; `split` gives each core a part of it. That needs none of numba's threading
layers, of which OpenMP would bring a second runtime beside torch's and `workqueue` aborts when two threads meet.
Compiled code is kept between runs in a folder that is known to be writable.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

from df3d.system.machine import use_cache_folder

_CACHE = use_cache_folder()  # before numba is imported, which reads it once

import numba  # noqa: E402


def first_time() -> bool:
    """Whether kernels have yet to be compiled on this machine; says so once."""
    try:
        (_CACHE / f"compiled-{sys.implementation.cache_tag}-numba{numba.__version__}").touch(exist_ok=False)
    except OSError:
        return False
    return True


# No fastmath: it lets one kernel round differently from run to run, by where its arrays happen to lie in memory.
kernel: Any = numba.njit(nogil=True, cache=True, error_model="numpy", fastmath={"contract"})


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads() - 1 or 1, thread_name_prefix="df3d-kernel")


@cache
def threads() -> int:
    """How many cores kernels use: `OMP_NUM_THREADS` when set, or all that this process may run on."""
    limit = os.environ.get("OMP_NUM_THREADS", "")
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(int(limit), available) if limit.isdigit() and limit != "0" else available)


def split(count: int, work: Callable[[int, int], object], *, least: int = 1) -> None:
    """Call `work(start, stop)` on parts of range(count), one a core, and wait; parts hold at least `least` items.

    The caller's thread takes a part too. `work` must write to places that no other part writes to.
    """
    parts = max(1, min(threads(), count // max(least, 1)))
    bounds = [(count * i // parts, count * (i + 1) // parts) for i in range(parts)]
    waiting = [_pool().submit(work, *others) for others in bounds[1:]]
    work(*bounds[0])
    for future in waiting:
        future.result()
