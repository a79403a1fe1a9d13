"""sRGB (IEC 61966-2-1) and linear light. Imports no torch, so that files are read without it."""

from __future__ import annotations

import numpy as np


def to_linear(colors: np.ndarray) -> np.ndarray:
    """Of sRGB (IEC 61966-2-1)."""
    return np.where(colors <= 0.04045, colors / 12.92, ((colors + 0.055) / 1.055) ** 2.4)


def linear_colors(colors: np.ndarray) -> np.ndarray:
    """(P, 3 or 4) float32: colours (P, 3 or 4) in linear light, their opacity as it is."""
    return np.concatenate([to_linear(colors[:, :3]), colors[:, 3:]], axis=1).astype(np.float32)


def to_srgb(colors: np.ndarray) -> np.ndarray:
    """Of linear light."""
    return np.where(colors <= 0.0031308, colors * 12.92, 1.055 * np.maximum(colors, 0.0031308) ** (1 / 2.4) - 0.055)
