"""What the objects of a library look like, as small pictures from a few directions that the model sees beside the noise.

So a model has not to remember each object: it draws what a sketch shows, from any side, in any colour, alone or with another,
and an object that no training saw is drawn by its sketches too. This is a retrieval-augmented diffusion model (A. Blattmann et
al., arXiv 2204.11824), which keeps its objects beside its weights. A sketch is a row of numbers on the principal components of
a library's sketches.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from df3d_diffusion.conditioning import SKETCH, SKETCH_CHANNELS
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from df3d.errors import ModelError
from df3d_prior import raster
from df3d_prior.objects import Object
from df3d_prior.sources import views_of
from df3d_prior.words import DIRECTIONS, Caption, mixture

FILE = "sketches.safetensors"
COMPONENTS = 128


def pictures(objects: list[Object]) -> np.ndarray:
    """(N, DIRECTIONS, SKETCH, SKETCH, 4) float32: each object from each direction, colour in [-1, 1] and coverage."""
    azimuth, elevation = np.array(DIRECTIONS).T
    poses = np.tile(views_of(azimuth, elevation, SKETCH).pose.numpy(), (len(objects), 1, 1))
    drawn = raster.render([one for one in objects for _ in DIRECTIONS], poses, size=SKETCH, samples=4)
    drawn[..., :3] = 2 * drawn[..., :3] - 1
    return drawn.reshape(len(objects), len(DIRECTIONS), *drawn.shape[1:])


@dataclass(frozen=True)
class Basis:
    """Principal components of sketches."""

    mean: np.ndarray  # (P,)
    components: np.ndarray  # (COMPONENTS, P), orthonormal

    @classmethod
    def of(cls, drawn: np.ndarray) -> Basis:
        """Those of pictures (..., SKETCH, SKETCH, 4)."""
        flat = drawn.reshape(-1, SKETCH * SKETCH * SKETCH_CHANNELS)
        mean = flat.mean(0)
        centered = flat - mean
        _, vectors = np.linalg.eigh(centered.T @ centered)
        return cls(mean, np.ascontiguousarray(vectors[:, ::-1][:, :COMPONENTS].T, dtype=np.float32))

    def codes(self, drawn: np.ndarray) -> np.ndarray:
        """(N, DIRECTIONS, COMPONENTS) of pictures (N, DIRECTIONS, SKETCH, SKETCH, 4)."""
        return (drawn.reshape(*drawn.shape[:2], -1) - self.mean) @ self.components.T

    def drawn(self, codes: np.ndarray) -> np.ndarray:
        """(SKETCH_CHANNELS, SKETCH, SKETCH) of a code (COMPONENTS,)."""
        flat = self.mean + codes @ self.components
        return flat.reshape(SKETCH, SKETCH, SKETCH_CHANNELS).transpose(2, 0, 1)


@dataclass(frozen=True)
class Sketches:
    """The sketches of some objects, by their words."""

    basis: Basis
    words: list[str]
    codes: np.ndarray  # (N, DIRECTIONS, COMPONENTS) float32
    _place: dict[str, int] = field(default_factory=dict)

    @classmethod
    def none(cls, basis: Basis | None = None) -> Sketches:
        """The sketches of no object, on a basis."""
        size = SKETCH * SKETCH * SKETCH_CHANNELS
        basis = basis or Basis(np.zeros(size, np.float32), np.zeros((COMPONENTS, size), np.float32))
        return cls(basis, [], np.zeros((0, len(DIRECTIONS), COMPONENTS), np.float32))

    def __post_init__(self) -> None:
        self._place.update({word: i for i, word in enumerate(self.words)})

    def of(self, caption: Caption | None, azimuth: float, elevation: float) -> Tensor:
        """(2, SKETCH_CHANNELS, SKETCH, SKETCH): the things of a caption, each alone, from a camera; zero for what has no sketch."""
        found = np.zeros((2, SKETCH_CHANNELS, SKETCH, SKETCH), np.float32)
        for i, thing in enumerate((caption.subject, caption.other) if caption else ()):
            if thing is not None and thing.sketched:
                codes = self.codes[self._place[thing.word]]
                found[i] = self.basis.drawn(sum(weight * codes[at] for at, weight in mixture(azimuth, elevation)))
        return torch.from_numpy(found)

    def save(self, folder: Path) -> None:
        """Write them into a model's folder, a byte a number. The words are in the index beside them."""
        scale = np.abs(self.codes).max((0, 1)) / 127 + 1e-9
        components = np.abs(self.basis.components).max() / 127
        save_file(
            {
                "codes": np.round(self.codes / scale).astype(np.int8),
                "scale": scale.astype(np.float32),
                "mean": self.basis.mean.astype(np.float32),
                "components": np.round(self.basis.components / components).astype(np.int8),
                "component": np.array([components], np.float32),
            },
            folder / FILE,
        )

    @classmethod
    def load(cls, folder: Path, words: list[str]) -> Sketches:
        """What `save` wrote, for these words.

        Raises ModelError when the file is damaged, or holds the sketches of other objects.
        """
        try:
            tensors = load_file(folder / FILE)
            shapes = {name: value.shape for name, value in tensors.items()}
        except (OSError, SafetensorError) as error:
            raise ModelError(f"`{folder / FILE}` cannot be read: {error}", "train the prior again") from None
        size = SKETCH * SKETCH * SKETCH_CHANNELS
        wanted = {
            "codes": (len(words), len(DIRECTIONS), COMPONENTS), "scale": (COMPONENTS,), "mean": (size,),
            "components": (COMPONENTS, size), "component": (1,),
        }  # fmt: skip
        if shapes != wanted:
            raise ModelError(f"`{folder / FILE}` does not fit the objects of its prior", "train the prior again")
        basis = Basis(tensors["mean"], tensors["components"].astype(np.float32) * tensors["component"])
        return cls(basis, words, tensors["codes"].astype(np.float32) * tensors["scale"])
