"""How many faces an object has, by what CLIP says of it from all sides. No ground truth is needed, but a prompt."""

from __future__ import annotations

import torch
from torch import Tensor

from df3d.errors import PromptError
from df3d.protocols import Subject
from df3d.scene.cameras import orbit
from df3d_clip.config import JanusConfig
from df3d_clip.model import load

SIDES = ("front", "side", "back")


class JanusScorer:
    """Measures of one way around the object:

    - `faces`: peaks of the probability of "front" (softmax over "front view", "side view", "back view" of the prompt),
      smoothed, at least half as high as the highest; 1 is right.
    - `leakage`: mean probability of "front" in the back half over that in the front half.
    - `repetition`: how much more alike views 120 and 180 degrees apart are than views 60 and 90 degrees apart (cosines of
      CLIP's vectors); above 0 hints at copies, or at an object that is alike from several sides.

    The thresholds are not those of any one CLIP: calibrate `leakage` and `repetition` on objects that you know.
    """

    def __init__(self, config: JanusConfig, *, device: str = "cpu") -> None:
        self.config = config
        self._clip = load(config, device)

    @torch.no_grad()
    def score(self, subject: Subject) -> dict[str, float]:
        if not subject.prompt:
            raise PromptError("there is no prompt to score against", "give one with --prompt or --prompts")
        count = self.config.views
        first = subject.cameras[:1]
        near = {"elevation": float(first.elevation), "distance": float(first.distance), "fov_y": float(first.fov_y)}
        ring = orbit(count, size=first.height, **near)
        pictures = subject.draw(ring)[..., :3]
        vectors = self._clip.images(pictures)
        texts = self._clip.texts([f"{subject.prompt}, {side} view" for side in SIDES])
        front = (vectors @ texts.T / self.config.temperature).softmax(-1)[:, 0]
        away = (ring.azimuth.abs() - 90).to(front.device)
        return {
            "faces": float(count_peaks(smooth(front, self.config.smoothing))),
            "leakage": float(front[away > 0].mean() / front[away < 0].mean().clamp_min(1e-6)),
            "repetition": float(repetition(vectors)),
        }


def smooth(values: Tensor, degrees: float) -> Tensor:
    """(N,) values around a circle, each the mean of those within so many degrees."""
    reach = int(degrees / 360 * len(values))
    return torch.stack([values.roll(shift) for shift in range(-reach, reach + 1)]).mean(0)


def count_peaks(values: Tensor) -> int:
    """How many separate stretches of a circle are above half of the highest value; 1 when all are."""
    high = values >= 0.5 * values.max()
    return max(1, int((high & ~high.roll(1)).sum()))


def repetition(vectors: Tensor) -> Tensor:
    """Mean cosine of unit vectors (N, D) around a circle at 120 and 180 degrees less that at 60 and 90."""

    def alike(share: float) -> Tensor:
        return (vectors * vectors.roll(round(share * len(vectors)), 0)).sum(-1).mean()

    return (alike(1 / 3) + alike(1 / 2) - alike(1 / 6) - alike(1 / 4)) / 2
