"""nvdiffrast behind the same interface. It is not on the package index and is imported here alone.

nvdiffrast's rows start at the bottom: y is turned before it, so that its pictures come out with the top row first.
"""

from __future__ import annotations

import dataclasses

import nvdiffrast.torch as dr
import torch
from torch import Tensor

from df3d_nvdiffrast.raster import Fragments


class NvdiffrastRasterizer:
    """`Rasterizer` on nvdiffrast's CUDA context."""

    def __init__(self, device: str) -> None:
        self._context = dr.RasterizeCudaContext(device=device)

    def rasterize(self, clip: Tensor, faces: Tensor, height: int, width: int, *, cull: bool = False) -> Fragments:
        if cull:
            return self._culled(clip, faces, height, width)
        kept = torch.arange(len(faces), device=faces.device)
        return self._drawn(clip, faces, kept, height, width)

    def _culled(self, clip: Tensor, faces: Tensor, height: int, width: int) -> Fragments:
        """View by view, for each has front faces of its own."""
        parts = [self._drawn(view, faces, _counter_clockwise(view, faces), height, width) for view in clip.split(1)]
        return Fragments(*(torch.cat([getattr(part, field.name) for part in parts]) for field in dataclasses.fields(Fragments)))

    def _drawn(self, clip: Tensor, faces: Tensor, kept: Tensor, height: int, width: int) -> Fragments:
        if not len(kept):
            empty = clip.new_zeros(len(clip), height, width)
            weights, slopes = empty[..., None].expand(-1, -1, -1, 2), empty[..., None].expand(-1, -1, -1, 4)
            return Fragments(empty.long() - 1, weights, slopes, empty + 1)
        raster, slopes = dr.rasterize(self._context, _turned(clip), faces[kept].int(), (height, width))
        index = raster[..., 3].long() - 1
        face = torch.where(index >= 0, kept[index.clamp(min=0)], index)
        return Fragments(face, raster[..., :2], slopes.detach(), torch.where(face < 0, 1.0, raster[..., 2].detach()))

    def interpolate(self, attributes: Tensor, fragments: Fragments, faces: Tensor) -> Tensor:
        out: Tensor = dr.interpolate(attributes.contiguous(), _packed(fragments), faces.int())[0]
        return out

    def antialias(self, color: Tensor, fragments: Fragments, clip: Tensor, faces: Tensor) -> Tensor:
        out: Tensor = dr.antialias(color.contiguous(), _packed(fragments), _turned(clip), faces.int())
        return out


def _turned(clip: Tensor) -> Tensor:
    return clip * clip.new_tensor([1.0, -1.0, 1.0, 1.0])


def _packed(fragments: Fragments) -> Tensor:
    """(V, H, W, 4) as nvdiffrast writes it: weights, z / w, face + 1."""
    rest = [fragments.depth[..., None], (fragments.face[..., None] + 1).float()]
    return torch.cat([fragments.weights, *rest], dim=-1).contiguous()


def _counter_clockwise(clip: Tensor, faces: Tensor) -> Tensor:
    """Indices of the faces that are counter-clockwise in the only view of `clip` (1, P, 4)."""
    corners = clip[0, :, [0, 1, 3]][faces]
    return (torch.linalg.det(corners.double()) > 0).nonzero()[:, 0]
