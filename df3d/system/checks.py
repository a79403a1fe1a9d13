"""What `df3d doctor` looks at that is no plugin's own: Python, torch, GPU, compilers, disk."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Literal

from df3d.system.machine import cache_folder


@dataclass(frozen=True)
class Finding:
    """One thing that `df3d doctor` looked at. `needed`: nothing runs without it."""

    what: str
    state: Literal["ok", "missing", "broken"]
    detail: str
    without: str = ""  # what it costs to be without
    mend: str = ""  # the one command
    needed: bool = False


def findings() -> Iterator[Finding]:
    yield Finding("python", "ok", platform.python_version())
    for name in ("torch", "numba"):
        yield package(name, "nothing runs", needed=True)
    yield _gpu()
    yield from _compilers()
    yield _disk()


def package(name: str, without: str, mend: str = "", *, needed: bool = False) -> Finding:
    """Whether a distribution is installed; `without` says what it costs to be without it."""
    try:
        return Finding(name, "ok", version(name), needed=needed)
    except PackageNotFoundError:
        return Finding(name, "missing", "not installed", without, mend or f"python -m pip install {name}", needed)


def _gpu() -> Finding:
    try:
        import torch
    except Exception as error:
        return Finding("GPU", "broken", f"torch does not import: {error}", "nothing runs", "reinstall torch", needed=True)
    if not torch.cuda.is_available():
        return Finding("GPU", "missing", "no CUDA device", "only recipes for a CPU are fast enough", "a machine with an NVIDIA GPU")
    memory = torch.cuda.get_device_properties(0).total_memory / 2**30
    return Finding("GPU", "ok", f"{torch.cuda.get_device_name(0)}, {memory:.0f} GiB")


def _compilers() -> Iterator[Finding]:
    """To build extensions, to compile models, and for Triton's launcher on a GPU."""
    for name, command, without, mend in (
        ("C++ compiler", "c++", "no `compile = true`, no building of extensions, no Triton kernels", "install g++ or clang"),
        ("CUDA compiler", "nvcc", "no building of CUDA extensions", "install the CUDA toolkit"),
    ):
        path = shutil.which(command)
        yield Finding(name, "ok", path) if path else Finding(name, "missing", f"no `{command}`", without, mend)


def _disk() -> Finding:
    folder = cache_folder()
    free = shutil.disk_usage(folder).free / 2**30
    if free < 1:
        return Finding("disk", "broken", f"{free:.1f} GiB free at {folder}", "runs stop when they save", "free some space")
    return Finding("disk", "ok", f"{free:.0f} GiB free, cache in {folder}")
