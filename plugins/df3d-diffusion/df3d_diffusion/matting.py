"""What a picture over a known background says of opacity."""

from __future__ import annotations

from torch import Tensor

# Differences from the background below this share of the largest ask for no opacity: with 0.1, the outlines that an early,
# blurred prediction leaves open were filled.
MARGIN = 0.3


def least_opacity(image: Tensor, background: Tensor) -> Tensor:
    """(V, 1, H, W) in [0, 1]: the least opacity with which some colour gives the image over the background.

    image and background (V, 3, H, W) lie in [-1, 1]. image = opacity * color + (1 - opacity) * background (Smith and
    Blinn, Blue Screen Matting, SIGGRAPH 1996) has a color in range only where the opacity is at least
    (image - background) / (1 - background), or (background - image) / (background + 1) where the image is darker.
    """
    room = (1 - background).where(image > background, background + 1).clamp_min(1e-3)
    difference = ((image - background).abs() / room).amax(1, keepdim=True)
    return (difference.clamp(max=1) - MARGIN).clamp_min(0) / (1 - MARGIN)
