"""Whether neighbouring views show the same thing. A blurred object does so too, which is why its sharpness counts."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from df3d.protocols import Subject
from df3d_clip.config import ClipModelConfig
from df3d_clip.model import load

SHARP = 0.02  # from which sharpness on blur is out of the question


class ConsistencyScorer:
    """Measures of the views:

    - `neighbours`: mean cosine similarity of CLIP's vectors of neighbouring ones; none of a single view.
    - `sharpness`: of the object's inside, see `sharpness`.
    - `guarded`: `neighbours`, less as far as the object is blurred or has no detail: times min(1, sharpness / 0.02).
    """

    def __init__(self, config: ClipModelConfig, *, device: str = "cpu") -> None:
        self._clip = load(config, device)

    @torch.no_grad()
    def score(self, subject: Subject) -> dict[str, float]:
        found = {"sharpness": float(sharpness(subject.color, subject.opacity))}
        if len(subject.color) > 1:
            vectors = self._clip.images(subject.color)
            found["neighbours"] = float((vectors * vectors.roll(1, 0)).sum(-1).mean())
            found["guarded"] = found["neighbours"] * min(1.0, found["sharpness"] / SHARP)
        return found


def sharpness(images: Tensor, opacity: Tensor) -> Tensor:
    """Root mean square of the Laplacian of the brightness of images (V, H, W, 3), where opacity (V, H, W) is whole around.

    The outline is left out, which a blurred texture does not blur. 0 where nothing is whole.
    """
    grey = images.mean(-1)[:, None]
    kernel = grey.new_tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])[None, None]
    inside = -functional.max_pool2d(-opacity[:, None], 5, 1, 2)[..., 1:-1, 1:-1] > 0.99
    return functional.conv2d(grey, kernel)[inside].square().sum().div(inside.sum().clamp_min(1)).sqrt()
