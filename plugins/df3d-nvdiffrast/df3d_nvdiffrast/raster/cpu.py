"""The rasteriser that needs no GPU: tiles in compiled loops, forward and backward. Tensors elsewhere are brought here and back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from df3d.system.cpu import split, threads
from df3d_nvdiffrast.raster import Fragments, kernels


class CpuRasterizer:
    """`Rasterizer` in numba."""

    def rasterize(
        self, clip: Tensor, faces: Tensor, height: int, width: int, *, cull: bool = False, behind: Tensor | None = None
    ) -> Fragments:
        """With `behind` (V, H, W), a depth, only what lies farther is seen: the next layer of a surface."""
        farther = torch.empty(len(clip), 0, 0) if behind is None else behind.cpu()
        weights, face, slopes, depth = _Rasterize.apply(clip.cpu(), faces.cpu(), height, width, cull, farther)
        there = clip.device
        return Fragments(face.to(there), weights.to(there), slopes.to(there), depth.to(there))

    def interpolate(self, attributes: Tensor, fragments: Fragments, faces: Tensor) -> Tensor:
        here: Tensor = _Interpolate.apply(attributes.cpu(), fragments.weights.cpu(), fragments.face.cpu(), faces.cpu())
        return here.to(attributes.device)

    def antialias(self, color: Tensor, fragments: Fragments, clip: Tensor, faces: Tensor) -> Tensor:
        here: Tensor = _Antialias.apply(color.cpu(), clip.cpu(), faces.cpu(), fragments.face.cpu(), fragments.depth.cpu())
        return here.to(color.device)


class _Rasterize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, clip: Tensor, faces: Tensor, height: int, width: int, cull: bool, behind: Tensor) -> tuple[Tensor, ...]:
        views = len(clip)
        face = torch.empty(views, height, width, dtype=torch.int64)
        weights, slopes = torch.empty(views, height, width, 2), torch.empty(views, height, width, 4)
        depth = torch.empty(views, height, width)
        corners, triangles = _array(clip), _array(faces)
        edges, box = np.empty((len(triangles), 3, 3)), np.empty((len(triangles), 4), np.int32)
        for v in range(views):
            split(
                len(triangles),
                lambda start, stop, c=corners[v]: kernels.set_up(c, triangles, height, width, cull, edges, box, start, stop),
                least=4096,
            )
            offsets, found = kernels.sort_into_tiles(box, height, width)
            out = [_array(t[v]) for t in (behind, face, weights, slopes, depth)]
            split(
                len(offsets) - 1,
                lambda start, stop, c=corners[v], o=offsets, f=found, out=out: kernels.draw_tiles(
                    c, triangles, edges, box, o, f, *out, start, stop
                ),
            )
        ctx.save_for_backward(clip, faces, face, weights)
        ctx.mark_non_differentiable(face, slopes, depth)
        return weights, face, slopes, depth

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        clip, faces, face, weights = ctx.saved_tensors
        gradient = torch.zeros_like(clip)
        for v in range(len(clip)):
            arrays = [_array(t) for t in (clip[v], faces, face[v], weights[v], upstream[0][v])]
            _scatter(
                face.shape[1], gradient[v], lambda into, start, stop, a=arrays: kernels.weights_backward(*a, into, start, stop)
            )
        return gradient, None, None, None, None, None


class _Interpolate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, attributes: Tensor, weights: Tensor, face: Tensor, faces: Tensor) -> Tensor:
        out = torch.empty(*face.shape, attributes.shape[-1])
        for v in range(len(face)):
            arrays = [_array(t) for t in (attributes[min(v, len(attributes) - 1)], faces, face[v], weights[v], out[v])]
            split(face.shape[1], lambda start, stop, a=arrays: kernels.interpolate(*a, start, stop), least=16)
        ctx.save_for_backward(attributes, weights, face, faces)
        return out

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        attributes, weights, face, faces = ctx.saved_tensors
        to_attributes, to_weights = torch.zeros_like(attributes), torch.empty_like(weights)
        for v in range(len(face)):
            source = min(v, len(attributes) - 1)
            arrays = [_array(t) for t in (attributes[source], faces, face[v], weights[v], upstream[0][v])]
            target = _array(to_weights[v])
            _scatter(
                face.shape[1],
                to_attributes[source],
                lambda into, start, stop, a=arrays, t=target: kernels.interpolate_backward(*a, into, t, start, stop),
            )
        return to_attributes, to_weights, None, None


class _Antialias(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, color: Tensor, clip: Tensor, faces: Tensor, face: Tensor, depth: Tensor) -> Tensor:
        across = kernels.across_edges(_array(faces), clip.shape[1])
        out = torch.empty_like(color, memory_format=torch.contiguous_format)
        ends = torch.empty(face.shape, dtype=torch.uint8)
        for v in range(len(color)):
            arrays = [_array(color[v]), _array(clip[v]), _array(faces), across, *(_array(t[v]) for t in (face, depth, out, ends))]
            split(face.shape[1], lambda start, stop, a=arrays: kernels.antialias(*a, start, stop), least=16)
        ctx.save_for_backward(color, clip, faces, face, depth, ends)
        ctx.across = across
        return out

    @staticmethod
    def backward(ctx: Any, *upstream: Tensor) -> tuple[Tensor | None, ...]:
        color, clip, faces, face, depth, ends = ctx.saved_tensors
        to_color, to_clip = torch.empty(color.shape), torch.zeros_like(clip)
        for v in range(len(color)):
            arrays = [_array(color[v]), _array(clip[v]), _array(faces), ctx.across]
            arrays += [_array(t[v]) for t in (face, depth, ends, upstream[0], to_color)]
            _scatter(
                face.shape[1], to_clip[v], lambda into, start, stop, a=arrays: kernels.antialias_backward(*a, into, start, stop)
            )
        return to_color, to_clip, None, None, None


def _array(tensor: Tensor) -> np.ndarray:
    array: np.ndarray = tensor.detach().contiguous().numpy()
    return array


def _scatter(rows: int, total: Tensor, work: Callable[[np.ndarray, int, int], None]) -> None:
    """Add to `total` what `work(into, start, stop)` adds for all rows: each part has an array of its own, summed in order."""
    parts = [rows * i // threads() for i in range(threads() + 1)]
    sums = np.zeros((threads(), *total.shape))
    split(threads(), lambda start, stop: [work(sums[i], parts[i], parts[i + 1]) for i in range(start, stop)])
    total.add_(torch.from_numpy(sums.sum(0)).to(total.dtype))
