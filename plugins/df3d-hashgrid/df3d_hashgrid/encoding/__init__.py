"""The hash encoding, and which implementation of it to use.

Every backend is a module with `table`, `forward(points, levels)` and `gradient(points, cotangent, levels)`; points are
in [0, 1]. `torch` is the plain one that the others are tested against.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from shutil import which
from typing import Protocol

from torch import Tensor, nn

from df3d.errors import PluginError
from df3d_hashgrid.config import Backend, GridConfig


class Encoding(Protocol):
    """A differentiable map from points to features."""

    table: nn.Parameter

    def __call__(self, points: Tensor, levels: int) -> Tensor:
        """Features (N, L * F) of points (N, 3) in [0, 1]; those of levels from `levels` on are zero."""
        ...

    def gradient(self, points: Tensor, cotangent: Tensor, levels: int) -> Tensor:
        """(N, 3): the product of `cotangent` (N, L * F) with d features / d points, differentiable in it and the table."""
        ...


def choose(backend: Backend, device: str) -> str:
    """The backend that `auto` stands for."""
    if backend != "auto":
        return backend
    if not device.startswith("cuda"):
        return "numba"
    if find_spec("tinycudann"):
        from df3d_hashgrid.encoding import tcnn

        if tcnn.tinycudann is not None:  # type: ignore[attr-defined]  # else its build does not fit, and the others serve
            return "tcnn"
    # Triton builds its launcher, once, with the machine's C compiler
    return "triton" if find_spec("triton") and (os.environ.get("CC") or any(map(which, ("cc", "gcc", "clang")))) else "torch"


def note(backend: Backend, device: str) -> list[str]:
    """What is done in place of something faster, in a sentence."""
    slow = backend == "auto" and device.startswith("cuda") and choose(backend, device) == "torch"
    return ["neither tinycudann nor Triton with a C compiler is here: torch alone looks up the hash grid, slowly"] if slow else []


def make(config: GridConfig, device: str) -> Encoding:
    """Build the encoding on `device`.

    Raises PluginError when the backend cannot work there.
    """
    name = choose(config.backend, device)
    if name == "numba":
        if device != "cpu":
            raise PluginError("hash-grid backend `numba` works on the CPU only", "set field.backend to auto, torch or tcnn")
        from df3d_hashgrid.encoding.numba import NumbaEncoding

        return NumbaEncoding(config)
    if name == "triton":
        if device == "cpu" and not os.environ.get("TRITON_INTERPRET"):
            raise PluginError("hash-grid backend `triton` works on a GPU only", "set field.backend to auto or numba")
        try:
            from df3d_hashgrid.encoding.triton import TritonEncoding
        except ImportError as error:
            raise PluginError(f"hash-grid backend `triton` needs Triton: {error}", "set field.backend to auto or torch") from None

        return TritonEncoding(config).to(device)
    if name == "tcnn":
        from df3d_hashgrid.encoding.tcnn import TcnnEncoding

        return TcnnEncoding(config)  # type: ignore[return-value]  # its table is read alone
    from df3d_hashgrid.encoding.torch import TorchEncoding

    return TorchEncoding(config).to(device)
