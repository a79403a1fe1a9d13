"""What a picture over a known background says of opacity."""

from __future__ import annotations

from torch import Tensor

# A difference from the background, as a share of the largest, that says nothing: noise of the prediction, and its blur. With
# 0.1 the outlines that an early prediction leaves open were filled: swollen shapes.
MARGIN = 0.3


def least_opacity(image: Tensor, background: Tensor) -> Tensor:
    """(V, 1, H, W) in [0, 1]: the least opacity with which some colour gives the image over the background.

    image and background (V, 3, H, W) lie in [-1, 1]. image = opacity * color + (1 - opacity) * background (Smith and
    Blinn, Blue Screen Matting, SIGGRAPH 1996) has a color in range only where the opacity is at least
    (image - background) / (1 - background), or (background - image) / (background + 1) where the image is darker.
    """
    room = (1 - background).where(image > background, background + 1).clamp_min(1e-3)
    share = ((image - background).abs() / room).amax(1, keepdim=True).clamp(max=1)
    return (share - MARGIN).clamp_min(0) / (1 - MARGIN)
