"""Where the two things of a caption stand: by their shapes alone, so that meshes and their sketches are put together alike."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

RADIUS = 0.85  # every object, and every pair, is centred at the origin inside this ball

Place = tuple[float, np.ndarray]  # point -> scale * point + offset (3,)


class Shape(NamedTuple):
    """What a place depends on; all but `seat` are (3,)."""

    low: np.ndarray
    high: np.ndarray
    seat: np.ndarray  # (5,) the largest level place: middle x, height, middle z, half its width and half its length
    top: np.ndarray  # middle of the highest part
    top_size: np.ndarray


def places(relation: str, one: Shape, other: Shape) -> tuple[Place, Place]:
    """How to move two objects so that one is on, wearing or beside the other, or `two` side by side, inside the ball together."""
    still = 1.0, np.zeros(3)
    if relation == "on":
        moved = _on(one, other), still
    elif relation == "wearing":
        moved = still, _worn(other, one)
    else:
        moved = _aside(one, -1.0), _aside(other, 1.0)
    boxes = np.array([(scale * shape.low + offset, scale * shape.high + offset)
                      for shape, (scale, offset) in zip((one, other), moved, strict=True)])  # fmt: skip
    low, high = boxes[:, 0].min(0), boxes[:, 1].max(0)
    whole = RADIUS / max(0.5 * float(np.linalg.norm(high - low)), 1e-9)
    first, second = ((whole * scale, whole * (offset - 0.5 * (low + high))) for scale, offset in moved)
    return first, second


def _foot(shape: Shape) -> np.ndarray:
    foot = 0.5 * (shape.low + shape.high)
    foot[1] = shape.low[1]
    return foot


def _on(rider: Shape, base: Shape) -> Place:
    """On the largest level place that is seen from above."""
    x, y, z, half_width, half_length = base.seat
    size = rider.high - rider.low
    scale = float(2.4 * np.sqrt(half_width * half_length) / max(size[0], size[2], 0.6 * size[1], 1e-6))
    return scale, np.array((x, y - 0.01, z)) - scale * _foot(rider)


def _worn(hat: Shape, wearer: Shape) -> Place:
    """On the highest part."""
    wide = (wearer.high - wearer.low)[[0, 2]]
    radius = 0.5 * max(float(wearer.top_size[[0, 2]].min()), 0.25 * float(wide.min()))
    size = hat.high - hat.low
    scale = float(2.6 * radius / max(size[0], size[2], 1e-6))
    return scale, np.array((wearer.top[0], wearer.high[1] - 0.1 * radius, wearer.top[2])) - scale * _foot(hat)


def _aside(shape: Shape, side: float) -> Place:
    """To the left (-1) or right (1), seen from the front, on the ground."""
    edge = np.array((shape.high[0] if side < 0 else shape.low[0], shape.low[1], 0.5 * (shape.low[2] + shape.high[2])))
    return 1.0, np.array((0.08 * side, 0.0, 0.0)) - edge
