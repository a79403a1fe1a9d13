"""Differentiable rasterisation: what both backends do, and which one to use.

The operations and their formats are nvdiffrast's (arXiv 2011.03277), but for the order of rows, which here start at the
top. V views, P vertices, F faces, H x W pixels, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from df3d.errors import PluginError
from df3d_nvdiffrast.config import Backend


@dataclass(frozen=True)
class Fragments:
    """What is seen in each pixel's centre."""

    face: Tensor  # (V, H, W) int64, -1 where there is nothing
    weights: Tensor  # (V, H, W, 2) perspective-correct barycentric weights of a face's first two vertices, differentiable
    slopes: Tensor  # (V, H, W, 4) d weight 0 / d x, / d y, d weight 1 / d x, / d y, per pixel; y grows downwards; no gradient
    depth: Tensor  # (V, H, W) z / w in [-1, 1]; no gradient


class Rasterizer(Protocol):
    """The operations, each differentiable where nvdiffrast's is."""

    def rasterize(self, clip: Tensor, faces: Tensor, height: int, width: int, *, cull: bool = False) -> Fragments:
        """Nearest face in each pixel for clip-space vertices (V, P, 4) and faces (F, 3).

        `cull` leaves out faces that are clockwise on the screen. What lies outside -w <= z <= w is cut away.
        """
        ...

    def interpolate(self, attributes: Tensor, fragments: Fragments, faces: Tensor) -> Tensor:
        """(V, H, W, C) from vertex attributes (1 or V, P, C); 0 where there is nothing."""
        ...

    def antialias(self, color: Tensor, fragments: Fragments, clip: Tensor, faces: Tensor) -> Tensor:
        """(V, H, W, C) with silhouette edges blended by the position at which they cross between pixel centres.

        That position is what gives vertices a gradient from coverage (arXiv 2011.03277, section 3.6).
        """
        ...


def make(backend: Backend, device: str) -> tuple[Rasterizer, str]:
    """The rasteriser that `backend` stands for: nvdiffrast on a GPU where it is installed, the CPU's otherwise, with a note.

    Raises PluginError when nvdiffrast is asked for and cannot work.
    """
    on_gpu = torch.device(device).type == "cuda"
    if backend == "nvdiffrast" or (backend == "auto" and on_gpu):
        try:
            from df3d_nvdiffrast.raster.nvdiffrast import NvdiffrastRasterizer

            if not on_gpu:
                raise ImportError("it works on an NVIDIA GPU only")
            return NvdiffrastRasterizer(device), ""
        except ImportError as error:
            if backend == "nvdiffrast":
                raise PluginError(
                    f"rasteriser backend `nvdiffrast` cannot be used: {error}", "set renderer.backend to auto or cpu"
                ) from None
    from df3d_nvdiffrast.raster.cpu import CpuRasterizer

    slow = backend == "auto" and on_gpu
    return CpuRasterizer(), "nvdiffrast is not installed: the CPU draws the surface, slower than the GPU would" if slow else ""
