"""What a picture over a known background says of opacity."""

from __future__ import annotations

from torch import Tensor

# Differences from the background, as shares of the largest. Below MARGIN they ask for no opacity: with 0.1, the outlines that an
# early, blurred prediction leaves open were filled. Below NOISE they are the prediction's.
MARGIN = 0.3
NOISE = 0.08


def least_opacity(image: Tensor, background: Tensor) -> Tensor:
    """(V, 1, H, W) in [0, 1]: the least opacity with which some colour gives the image over the background.

    image and background (V, 3, H, W) lie in [-1, 1]. image = opacity * color + (1 - opacity) * background (Smith and
    Blinn, Blue Screen Matting, SIGGRAPH 1996) has a color in range only where the opacity is at least
    (image - background) / (1 - background), or (background - image) / (background + 1) where the image is darker.
    """
    return (_difference(image, background).clamp(max=1) - MARGIN).clamp_min(0) / (1 - MARGIN)


def shows_background(image: Tensor, background: Tensor) -> Tensor:
    """(V, 1, H, W) bool: where the image, both as in `least_opacity`, can be had without any opacity."""
    return _difference(image, background) < NOISE


def _difference(image: Tensor, background: Tensor) -> Tensor:
    room = (1 - background).where(image > background, background + 1).clamp_min(1e-3)
    return ((image - background).abs() / room).amax(1, keepdim=True)
