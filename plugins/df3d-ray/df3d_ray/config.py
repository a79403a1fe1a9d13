"""The options of the launcher. No Ray here: they are read when plugins are listed."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Literal

from df3d import option
from df3d.errors import ModelError

OLDEST = (2, 40)


@dataclass(frozen=True, kw_only=True)
class RayConfig:
    """Actors on a Ray cluster."""

    address: str = option("", "of the cluster: auto, HOST:PORT or ray://HOST:PORT; empty: this machine alone")
    threads: int = option(1, "cores of each worker", low=1, high=1024)
    gpus: float = option(-1.0, "GPUs of each worker, 0.5 lets two share one; -1: one where there are any", low=-1.0, high=64.0)
    shared: Literal["auto", "yes", "no"] = option("auto", "whether every node sees the batch's folder; auto looks")


def ready(config: RayConfig) -> None:
    """Raises ModelError where Ray is not installed, or is too old."""
    if find_spec("ray") is None:
        raise ModelError("launcher `ray` needs Ray, which is not installed", "python -m pip install 'ray>=2.40'")
    try:
        found = version("ray")
    except PackageNotFoundError:
        return
    if tuple(int(word) for word in found.split(".")[:2] if word.isdecimal()) < OLDEST:
        raise ModelError(f"launcher `ray` needs Ray 2.40 or newer, and {found} is installed", "python -m pip install -U ray")
