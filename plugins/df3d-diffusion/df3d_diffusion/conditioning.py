"""How cameras are told to a camera-conditioned model: as a map of rays beside the image, and as a code beside the text.

The map says where every pixel looks; the code reaches the model's class embedding, where it mixes with the caption.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from df3d.scene.cameras import rays
from df3d.types import Cameras

RAY_CHANNELS = 9
VIEW_CODES = 16
SKETCH, SKETCH_CHANNELS = 32, 4  # pixels along an axis of a small picture, and its channels: colour and coverage


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


def view_code(cameras: Cameras | None, count: int) -> Tensor:
    """(count, VIEW_CODES): real spherical harmonics, to degree 3 and of mean square 1, of the direction to each camera.

    All zero for unknown cameras.
    """
    if cameras is None:
        return torch.zeros(count, VIEW_CODES)
    x, y, z = torch.nn.functional.normalize(cameras.pose[:, :3, 3], dim=-1).unbind(-1)
    terms = [
        torch.ones_like(x),
        math.sqrt(3) * x,
        math.sqrt(3) * y,
        math.sqrt(3) * z,
        math.sqrt(15) * x * y,
        math.sqrt(15) * y * z,
        math.sqrt(15) * z * x,
        math.sqrt(5) / 2 * (3 * y * y - 1),
        math.sqrt(15) / 2 * (z * z - x * x),
        math.sqrt(7) / 2 * y * (5 * y * y - 3),
        math.sqrt(21 / 8) * x * (5 * y * y - 1),
        math.sqrt(21 / 8) * z * (5 * y * y - 1),
        math.sqrt(105) * x * y * z,
        math.sqrt(105) / 2 * y * (z * z - x * x),
        math.sqrt(35 / 8) * x * (x * x - 3 * z * z),
        math.sqrt(35 / 8) * z * (z * z - 3 * x * x),
    ]
    return torch.stack(terms, dim=-1)


def class_labels(text: Tensor, views: Tensor) -> Tensor:
    """(B, L * D + VIEW_CODES): what goes to the class embedding, of text (B, L, D) and view codes (B, VIEW_CODES)."""
    return torch.cat([text.flatten(1), views.to(text)], dim=1)


def with_sketches(text: Tensor, sketches: Tensor) -> Tensor:
    """(B, L + M, D): encodings (B, L, D), and behind them small pictures (B, N, SKETCH_CHANNELS, SKETCH, SKETCH) as tokens."""
    return torch.cat([text, sketches.to(text).reshape(len(text), -1, text.shape[-1])], dim=1)


def split_sketches(text: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The inverse of `with_sketches`: encodings, and `count` small pictures for each."""
    tokens = count * SKETCH_CHANNELS * SKETCH**2 // text.shape[-1]
    pictures = text[:, text.shape[1] - tokens :].reshape(len(text), count, SKETCH_CHANNELS, SKETCH, SKETCH)
    return text[:, : text.shape[1] - tokens], pictures


def sketch_map(sketches: Tensor, size: int) -> Tensor:
    """(B, N * SKETCH_CHANNELS, size, size): small pictures (B, N, SKETCH_CHANNELS, SKETCH, SKETCH) as the UNet sees them."""
    return torch.nn.functional.interpolate(sketches.flatten(1, 2), (size, size), mode="bilinear", align_corners=False)
