"""Which text each camera's render is held against, and which it is pushed away from.

A single prompt lets a model draw the front of a thing on every side (the Janus problem). Discrete view words choose one
text by the angle; interpolated ones mix the encodings of the two nearest sides; Perp-Neg (arXiv 2304.04968) mixes them
and takes away what neighbouring sides would add at a right angle to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from df3d.prompt import View
from df3d.scene.options import ViewConfig
from df3d.types import Cameras
from df3d_diffusion.config import DistillationConfig, ViewTexts


@dataclass(frozen=True)
class EncodedPrompt:
    """Token encodings (1, L, D) for each view, for no view, and of the negative prompt."""

    views: dict[View | None, Tensor]
    negative: Tensor


@dataclass(frozen=True)
class Texts:
    """What V cameras are held against: text (V, L, D), and K texts to avoid (K, V, L, D) with weights (K, V), at most 0."""

    text: Tensor
    avoid: Tensor
    weights: Tensor


def texts_for(config: DistillationConfig, cameras: Cameras, encoded: EncodedPrompt, *, told: bool) -> Texts:
    """The texts of each camera. `told`: the model is told the camera itself, so the plain prompt serves."""
    if told or not config.views.enabled:
        text = encoded.views[None].expand(len(cameras), -1, -1)
        return Texts(text, text[:0, None], text.new_zeros(0, len(cameras)))
    angles = zip(cameras.azimuth.tolist(), cameras.elevation.tolist(), strict=True)
    rows = [_row(config, azimuth, elevation) for azimuth, elevation in angles]
    text = torch.cat([sum(share * encoded.views[view] for view, share in row[0].items()) for row in rows])  # type: ignore[misc]
    most = max(len(row[1]) for row in rows)
    avoid = [torch.cat([encoded.views[row[1][k][0]] for row in rows]) for k in range(most)]
    weights = torch.tensor([[row[1][k][1] for row in rows] for k in range(most)]).view(most, len(rows)).to(text)
    return Texts(text, torch.stack(avoid) if avoid else text[:0, None], weights)


Row = tuple[dict[View, float], list[tuple[View, float]]]


def _row(config: DistillationConfig, azimuth: float, elevation: float) -> Row:
    """For one camera: the shares of the texts it is held against, and the weights of those it avoids."""
    views: ViewConfig = config.views
    nearest = views.view(azimuth, elevation)
    falloff = PERP_NEG.get(config.view_texts)
    if config.view_texts == "discrete" or nearest == "overhead":
        return {nearest: 1.0}, [("front", 0.0), ("side", 0.0)] if falloff else []
    away = abs((azimuth + 180.0) % 360.0 - 180.0) / 90.0  # 0 in front, 1 at a side, 2 behind
    first, second, share = ("front", "side", 1.0 - away) if away < 1.0 else ("side", "back", 2.0 - away)
    return {first: share, second: 1.0 - share}, falloff(away) if falloff else []  # type: ignore[dict-item]


def _threestudio(away: float) -> list[tuple[View, float]]:
    """threestudio's weights, -(a exp(-b r) + c), with its default numbers."""

    def fall(a: float, c: float, r: float) -> float:
        return -(a * math.exp(-0.5 * r) + c)

    if away < 1.0:
        return [("front", fall(4.0, -2.426, 1.0 - away)), ("side", fall(4.0, -2.426, away))]
    return [("side", fall(1.0, -0.606, 2.0 - away)), ("front", fall(1.0, 0.967, 2.0 - away))]


def _stable_dreamfusion(away: float) -> list[tuple[View, float]]:
    """stable-dreamfusion's weights, with its default numbers: -2, decaying by 2 for the front and by 10 for the side."""
    most, front, side = -2.0, 2.0, 10.0
    if away < 1.0:
        r = 1.0 - away
        return [
            ("front", 0.0 if r > 0.8 else math.exp(-r * front) * most),
            ("side", 0.0 if r < 0.2 else math.exp(-(1.0 - r) * side) * most),
        ]
    r = 2.0 - away
    return [("side", 0.0 if r > 0.8 else math.exp(-r * side) * most / 2.0), ("front", most)]


PERP_NEG: dict[ViewTexts, Callable[[float], list[tuple[View, float]]]] = {
    "perp-neg": _threestudio,
    "perp-neg-strong": _stable_dreamfusion,
}


def perpendicular(direction: Tensor, to: Tensor) -> Tensor:
    """What is left of each image of `direction` (V, C, h, w) without its part along `to`."""
    axes = (1, 2, 3)
    along = (direction * to).sum(axes, keepdim=True) / to.square().sum(axes, keepdim=True).clamp_min(1e-6)
    return direction - along * to
