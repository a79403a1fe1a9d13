"""How cameras are told to a camera-conditioned model: as a map of rays beside the image."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from df3d.cameras import rays
from df3d.types import Cameras

RAY_CHANNELS = 9


def ray_map(cameras: Cameras | None, count: int, size: int) -> Tensor:
    """(count, RAY_CHANNELS, size, size): for each pixel where it is, and the ray it looks along.

    Channels: x to the right and y up in [-1, 1]; then, all zero for unknown cameras, 1 and the ray's Pluecker
    coordinates (d, o x d) in world space, d its unit direction and o its origin (arXiv 2106.02634, section 3.1).
    """
    axis = (torch.arange(size) + 0.5) * (2.0 / size) - 1.0
    place = torch.stack([axis.expand(size, size), -axis[:, None].expand(size, size)]).expand(count, -1, -1, -1)
    if cameras is None:
        return torch.cat([place, place.new_zeros(count, RAY_CHANNELS - 2, size, size)], dim=1)
    place = place.to(cameras.pose.device)
    origins, directions = rays(dataclasses.replace(cameras, height=size, width=size))
    lines = torch.cat([directions, torch.linalg.cross(origins, directions)], dim=-1).permute(0, 3, 1, 2)
    return torch.cat([place, torch.ones_like(place[:, :1]), lines], dim=1)
