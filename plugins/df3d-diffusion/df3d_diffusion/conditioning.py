"""How a camera is told to a camera-conditioned model, and how text and camera join in its class embedding."""

from __future__ import annotations

import torch
from torch import Tensor

CAMERA_FEATURES = 8
CAMERA_SCALE = 4.0  # makes eight numbers heard among the hundreds of the text


def camera_features(azimuth: Tensor, elevation: Tensor) -> Tensor:
    """(V, CAMERA_FEATURES) from angles (V,) in degrees; all zeros stand for an unknown camera.

    1, sin az, cos az, sin 2az, cos 2az, sin el, cos el, sin 2el; times CAMERA_SCALE.
    """
    az, el = torch.deg2rad(azimuth), torch.deg2rad(elevation)
    features = torch.stack(
        [
            torch.ones_like(az),
            az.sin(),
            az.cos(),
            (2 * az).sin(),
            (2 * az).cos(),
            el.sin(),
            el.cos(),
            (2 * el).sin(),
        ],
        dim=-1,
    )
    return CAMERA_SCALE * features


def class_labels(text: Tensor, camera: Tensor) -> Tensor:
    """(V, L * D + CAMERA_FEATURES): the token encodings (V, L, D) side by side, then the camera features."""
    return torch.cat([text.flatten(1), camera.to(text.dtype)], dim=1)
