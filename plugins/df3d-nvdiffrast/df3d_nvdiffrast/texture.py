"""Texture look-up with mip levels, in torch: bilinear within a level, linear between two."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def sample(texture: Tensor, uv: Tensor, slopes: Tensor | None = None, *, nearest: bool = False) -> Tensor:
    """(N, C) of a texture (T, T, C), rows from the top, at uv (N, 2), origin at the bottom left; it repeats outside [0, 1].

    `slopes` (N, 2, 2) say how far uv moves per pixel, along x and along y; the level is the logarithm of the longer of the
    two in texels (OpenGL 4.6, section 8.14). Without them the finest level is used. Differentiable in texture and uv.
    With `nearest`, texels that are larger than a pixel are not mixed (OpenGL's GL_TEXTURE_MAG_FILTER).
    """
    levels = [texture.permute(2, 0, 1)[None]]
    while slopes is not None and min(levels[-1].shape[2:]) > 1:
        levels.append(functional.avg_pool2d(levels[-1], 2, ceil_mode=True))
    at = uv.new_zeros(len(uv))
    if slopes is not None:
        texels = slopes * uv.new_tensor([texture.shape[1], texture.shape[0]])
        at = texels.square().sum(-1).amax(1).clamp_min(1e-20).log2().mul(0.5).clamp(0, len(levels) - 1).detach()
    uv = torch.where((uv < 0) | (uv > 1), uv - uv.floor(), uv)
    place = torch.stack([2 * uv[:, 0] - 1, 1 - 2 * uv[:, 1]], dim=-1)
    out = uv.new_zeros(len(uv), texture.shape[2])
    for number, level in enumerate(levels):
        share = (1 - (at - number).abs()).clamp_min(0)
        (used,) = share.nonzero(as_tuple=True)
        if len(used):
            mode = "nearest" if nearest and number == 0 else "bilinear"
            found = functional.grid_sample(level, place[used][None, None], mode=mode, padding_mode="border", align_corners=False)
            found = found[0, :, 0].T
            out = out.index_add(0, used, share[used, None] * found)
    return out
