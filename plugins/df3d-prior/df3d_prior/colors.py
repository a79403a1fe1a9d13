"""Names of colours, and the names of a surface's colours."""

from __future__ import annotations

import numpy as np

COLORS: dict[str, tuple[float, float, float]] = {  # sRGB
    "red": (0.85, 0.12, 0.10),
    "orange": (0.96, 0.52, 0.08),
    "yellow": (0.97, 0.85, 0.12),
    "green": (0.15, 0.60, 0.18),
    "blue": (0.12, 0.28, 0.85),
    "purple": (0.48, 0.16, 0.68),
    "pink": (0.97, 0.55, 0.72),
    "brown": (0.45, 0.25, 0.11),
    "black": (0.08, 0.08, 0.09),
    "white": (0.95, 0.95, 0.94),
    "grey": (0.36, 0.38, 0.40),
}
# Other shades that go by the same names.
_SHADES: dict[str, tuple[tuple[float, float, float], ...]] = {
    "red": ((0.60, 0.05, 0.08), (0.90, 0.30, 0.28)),
    "orange": ((0.85, 0.42, 0.10), (0.98, 0.65, 0.30)),
    "yellow": ((0.98, 0.92, 0.50), (0.85, 0.70, 0.20)),
    "green": ((0.40, 0.70, 0.25), (0.10, 0.35, 0.15), (0.25, 0.75, 0.60), (0.45, 0.50, 0.20)),
    "blue": ((0.08, 0.12, 0.40), (0.45, 0.70, 0.95), (0.15, 0.55, 0.75)),
    "purple": ((0.65, 0.45, 0.85), (0.35, 0.10, 0.40)),
    "pink": ((0.85, 0.25, 0.60),),
    "brown": ((0.60, 0.40, 0.25), (0.28, 0.16, 0.08), (0.72, 0.52, 0.35)),
    "black": ((0.02, 0.02, 0.02), (0.15, 0.15, 0.16)),
    "white": ((1.0, 1.0, 1.0), (0.87, 0.87, 0.86)),
    "grey": ((0.50, 0.52, 0.54), (0.68, 0.70, 0.72), (0.25, 0.26, 0.28)),
}
NAMES = tuple(COLORS)
LIGHTNESS = np.array((0.3, 0.6, 0.1), np.float32)  # how much of a colour's lightness each channel has


def to_linear(srgb: np.ndarray) -> np.ndarray:
    """sRGB in [0, 1] to linear light (IEC 61966-2-1)."""
    return np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)


def oklab(srgb: np.ndarray) -> np.ndarray:
    """(..., 3) sRGB in [0, 1] to lightness and two axes of hue, in which distances are as they are seen.

    B. Ottosson, "A perceptual color space for image processing" (2020).
    """
    cones = np.cbrt(to_linear(np.asarray(srgb, float)) @ _TO_CONES.T)
    return cones @ _TO_LAB.T


_TO_CONES = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                      [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
_TO_LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
                    [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip
_WEIGHT = np.array((0.6, 1.0, 1.0))  # a shadow changes lightness, and no name
_PROTOTYPES = np.concatenate([oklab(np.array((COLORS[name], *_SHADES[name]))) for name in NAMES]) * _WEIGHT
_OWNER = np.concatenate([np.full(1 + len(_SHADES[name]), i) for i, name in enumerate(NAMES)])


def name_indexes(srgb: np.ndarray) -> np.ndarray:
    """(N,) index into `NAMES` of the name of each colour (N, 3)."""
    lab = oklab(srgb) * _WEIGHT
    distance = ((lab[:, None] - _PROTOTYPES) ** 2).sum(-1)
    return _OWNER[distance.argmin(1)]


def main_colors(srgb: np.ndarray, area: np.ndarray) -> list[str]:
    """Names of the colours (N, 3) of a surface by their share of its area (N,), the largest first, those below a tenth left out."""
    share = np.bincount(name_indexes(srgb), weights=area, minlength=len(NAMES)) / max(area.sum(), 1e-12)
    return [NAMES[i] for i in np.argsort(-share, kind="stable") if share[i] >= 0.1]
