"""Whether neighbouring views show the same thing. A blurred object is consistent too, so its sharpness stands beside it."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from df3d.evaluate import Subject
from df3d_clip.config import ClipModelConfig
from df3d_clip.model import load


class ConsistencyScorer:
    """`neighbours`: mean cosine similarity of CLIP's vectors of neighbouring views; `sharpness`: see `sharpness`."""

    def __init__(self, config: ClipModelConfig, *, device: str = "cpu") -> None:
        self._clip = load(config.model, device)

    @torch.no_grad()
    def score(self, subject: Subject) -> dict[str, float]:
        vectors = self._clip.images(subject.color)
        return {
            "neighbours": float((vectors * vectors.roll(1, 0)).sum(-1).mean()),
            "sharpness": float(sharpness(subject.color)),
        }


def sharpness(images: Tensor) -> Tensor:
    """Standard deviation of the Laplacian of the brightness of images (V, H, W, 3), a mean over the views."""
    grey = images.mean(-1)[:, None]
    kernel = grey.new_tensor([[0.0, 1.0, 0.0], [1.0, -4.0, 1.0], [0.0, 1.0, 0.0]])[None, None]
    return functional.conv2d(grey, kernel).flatten(1).std(1).mean()
