"""How alike two objects look, by their pictures from around."""

from __future__ import annotations

import numpy as np

FACING = 45.0  # degrees on either side of the front within which an object shows its face


def nearest_errors(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """(C,) mean squared errors of pictures (V, H, W, 4) to the nearest of each of (C, seeds, V, H, W, 4)."""
    return np.asarray(((others[..., :3] - images[..., :3]) ** 2).mean((2, 3, 4, 5)).min(1))


def silhouette_iou(a: np.ndarray, b: np.ndarray) -> float:
    """Of coverages (V, H, W), a mean over the views."""
    return float((np.minimum(a, b).sum((1, 2)) / np.maximum(np.maximum(a, b).sum((1, 2)), 1e-9)).mean())


def color_error(images: np.ndarray, others: np.ndarray) -> float:
    """1 where the two are seen nowhere together."""
    both = np.minimum(images[..., 3], others[..., 3])[..., None]
    if both.sum() < 1:
        return 1.0
    return float((np.abs(images[..., :3] - others[..., :3]) * both).sum() / (3 * both.sum()))


def faces_met(ring: np.ndarray, references: np.ndarray) -> float:
    """Faces met on one way around an object.

    `ring` (R, H, W, 4) are pictures from evenly spaced azimuths, the first one 0. Each is looked up among pictures (N, R, H, W, 4)
    of objects with one face, from all sides.
    """
    azimuths = np.arange(len(ring)) * 360.0 / len(ring)
    away = np.minimum(azimuths, 360.0 - azimuths)
    errors = np.full((len(ring), len(ring)), np.inf)
    for sides in references:
        errors = np.minimum(errors, ((ring[:, None, ..., :3] - sides[None, ..., :3]) ** 2).mean((2, 3, 4)))
    shows = away[errors.argmin(1)] <= FACING
    shows = np.roll(shows, 1).astype(int) + shows + np.roll(shows, -1) >= 2  # one view alone is no face, and parts none
    runs = int((shows & ~np.roll(shows, 1)).sum())
    return float(max(runs, round(float(shows.mean()) * 180.0 / FACING)))  # faces side by side are one long run
