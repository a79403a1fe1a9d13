"""Objects from their front, right, back and left, as a page or a sheet shows them."""

from __future__ import annotations

import numpy as np

from df3d_prior import raster
from df3d_prior.objects import Object
from df3d_prior.sources import views_of

AZIMUTHS, ELEVATION = (0.0, 90.0, 180.0, -90.0), 15.0  # degrees


def angles(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Azimuths and elevations (4 * count,) of so many objects, one after the other."""
    azimuth = np.tile(AZIMUTHS, count)
    return azimuth, np.full_like(azimuth, ELEVATION)


def pictures(things: list[Object], size: int) -> np.ndarray:
    """(N, 4, size, size, 3) true pictures, as in training."""
    return raster.render_each(things, views_of(*angles(1), size).pose.numpy(), size=size)[..., :3]


def sheet(drawn: np.ndarray, columns: int = 1) -> np.ndarray:
    """Pictures (N * 4, H, W, 3) in [0, 1] as one of bytes: an object a row, the rows in columns."""
    pixels = (drawn * 255).round().clip(0, 255).astype(np.uint8)
    rows = [np.concatenate(list(pixels[i : i + len(AZIMUTHS)]), axis=1) for i in range(0, len(pixels), len(AZIMUTHS))]
    height = -(-len(rows) // columns)
    rows += [np.full_like(rows[0], 128)] * (columns * height - len(rows))
    return np.concatenate([np.concatenate(rows[i * height : (i + 1) * height]) for i in range(columns)], axis=1)
