"""What the objects of a library look like, as small pictures from a few directions that the model sees beside the noise.

So a model has not to remember each object: it draws what a sketch shows, from any side, in any colour, alone or with another,
and an object that no training saw is drawn by its sketches too. This is a retrieval-augmented diffusion model (A. Blattmann et
al., arXiv 2204.11824), which keeps its objects beside its weights.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from df3d_diffusion.conditioning import SKETCH, SKETCH_CHANNELS
from PIL import Image
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file
from torch import Tensor

from df3d.errors import ModelError
from df3d_prior import colors, placing, raster
from df3d_prior.objects import Object
from df3d_prior.sources import views_of
from df3d_prior.words import DIRECTIONS, Caption, Thing, mixture

FILE = "sketches.safetensors"
QUALITY = 60  # of WebP
PLANES = 5  # of a sketch as it is kept: colour, coverage, and where the main colour is; all in [0, 1]
COLUMNS = 8  # of the sheet that holds an object's sketches


def pictures(objects: list[Object]) -> np.ndarray:
    """(N, DIRECTIONS, SKETCH, SKETCH, PLANES) float32: each object from each direction."""
    azimuth, elevation = np.array(DIRECTIONS).T
    poses = views_of(azimuth, elevation, SKETCH).pose.numpy()
    lit = raster.render_each(objects, poses, size=SKETCH, samples=4)
    mask = raster.render_each([one.mask() for one in objects], poses, size=SKETCH, samples=4, lit=False)
    main = mask[..., :1] - raster.BACKGROUND * (1 - mask[..., 3:])
    return np.concatenate([lit, main], -1)


def packed(drawn: np.ndarray) -> bytes:
    """An object's sketches (DIRECTIONS, SKETCH, SKETCH, PLANES) as one WebP sheet: pictures above, and masks below."""
    pixels = (drawn * 255).round().clip(0, 255).astype(np.uint8)
    mask = np.concatenate([pixels[..., 4:].repeat(3, -1), np.full_like(pixels[..., :1], 255)], -1)
    sheet = np.concatenate([pixels[..., :4], mask]).reshape(-1, COLUMNS, SKETCH, SKETCH, 4).transpose(0, 2, 1, 3, 4)
    file = io.BytesIO()
    image = Image.fromarray(np.ascontiguousarray(sheet).reshape(-1, COLUMNS * SKETCH, 4))
    image.save(file, "WEBP", quality=QUALITY, method=4, exact=True)
    return file.getvalue()


def unpacked(sheet: bytes) -> np.ndarray:
    """What `packed` made a sheet of, as bytes (DIRECTIONS, SKETCH, SKETCH, PLANES)."""
    pixels = np.asarray(Image.open(io.BytesIO(sheet), formats=["WEBP"]).convert("RGBA"))
    cells = pixels.reshape(-1, SKETCH, COLUMNS, SKETCH, 4).transpose(0, 2, 1, 3, 4).reshape(2, len(DIRECTIONS), SKETCH, SKETCH, 4)
    return np.concatenate([cells[0], cells[1][..., :1]], -1)


@dataclass(frozen=True)
class Sketched:
    """An object as its prior keeps it."""

    sheet: bytes
    shape: placing.Shape
    lightness: float  # of its main colour, a mean

    @classmethod
    def all(cls, objects: list[Object]) -> list[Sketched]:
        """Objects, a few at a time, for the memory."""
        found = []
        for start in range(0, len(objects), 64):
            few = objects[start : start + 64]
            found += [cls(packed(drawn), one.shape, one.main[1]) for drawn, one in zip(pictures(few), few, strict=True)]
        return found


@dataclass(frozen=True)
class Sketches:
    """The sketches of some objects, by their words."""

    objects: dict[str, Sketched]
    _seen: dict[str, np.ndarray] = field(default_factory=dict)  # sheets that were looked at

    def of(self, caption: Caption | None, azimuth: float, elevation: float) -> Tensor:
        """(2, SKETCH_CHANNELS, SKETCH, SKETCH): the things of a caption from a camera, each where it stands and in its colour.

        Colour in [-1, 1], then coverage; zero for what has no sketch.
        """
        found = torch.zeros(2, SKETCH_CHANNELS, SKETCH, SKETCH)
        things = self._things(caption)
        for i, thing in enumerate(things):
            if thing is not None and thing.sketched:
                found[i] = torch.from_numpy(self._drawn(thing, azimuth, elevation))
        one, other = things
        if caption and one and other and one.sketched and other.sketched:
            shapes = self.objects[one.word].shape, self.objects[other.word].shape
            for i, place in enumerate(placing.places(caption.relation or "beside", *shapes)):
                found[i] = _moved(found[i], place, azimuth, elevation)
        return found

    @staticmethod
    def _things(caption: Caption | None) -> tuple[Thing | None, Thing | None]:
        if caption is None:
            return None, None
        return caption.subject, caption.subject if caption.relation == "two" else caption.other

    def _drawn(self, thing: Thing, azimuth: float, elevation: float) -> np.ndarray:
        """(SKETCH_CHANNELS, SKETCH, SKETCH) of a thing alone."""
        if thing.word not in self._seen:
            self._seen[thing.word] = unpacked(self.objects[thing.word].sheet)
        sheet = self._seen[thing.word]
        mixed = sum(weight * sheet[at].astype(np.float32) for at, weight in mixture(azimuth, elevation)) / np.float32(255)
        color = mixed[..., :3]
        if thing.color is not None:
            light = (color @ colors.LIGHTNESS / self.objects[thing.word].lightness).clip(0.25, 1.4)
            new = (np.array(colors.COLORS[thing.color], np.float32) * light[..., None]).clip(0, 1)
            color = color + mixed[..., 4:] * (new - color)
        return np.concatenate([2 * color - 1, mixed[..., 3:4]], -1).transpose(2, 0, 1)

    def save(self, folder: Path) -> None:
        """Write them into a model's folder. The words are in the index beside them."""
        sheets = [np.frombuffer(one.sheet, np.uint8) for one in self.objects.values()]
        shapes = [np.concatenate([*one.shape, [one.lightness]]) for one in self.objects.values()]
        save_file(
            {
                "sheets": np.concatenate([np.zeros(0, np.uint8), *sheets]),
                "sizes": np.array([len(sheet) for sheet in sheets], np.int64),
                "shapes": np.array(shapes, np.float32).reshape(-1, _NUMBERS),
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
        except (OSError, SafetensorError) as error:
            raise ModelError(f"`{folder / FILE}` cannot be read: {error}", "train the prior again") from None
        sheets, sizes, shapes = (tensors.get(name, np.zeros(0)) for name in ("sheets", "sizes", "shapes"))
        if sizes.shape != (len(words),) or shapes.shape != (len(words), _NUMBERS) or sizes.sum() != len(sheets):
            raise ModelError(f"`{folder / FILE}` does not fit the objects of its prior", "train the prior again")
        ends = np.cumsum(sizes)
        found = {}
        for word, end, size, numbers in zip(words, ends, sizes, shapes, strict=True):
            shape = placing.Shape(*np.split(numbers[:-1].astype(float), np.cumsum(_PARTS)[:-1]))
            found[word] = Sketched(sheets[end - size : end].tobytes(), shape, float(numbers[-1]))
        return cls(found)


_PARTS = (3, 3, 5, 3, 3)  # numbers of the parts of a shape
_NUMBERS = sum(_PARTS) + 1


def _moved(sketch: Tensor, place: placing.Place, azimuth: float, elevation: float) -> Tensor:
    """A sketch (SKETCH_CHANNELS, SKETCH, SKETCH) after its object was moved: as large and where the camera then sees it."""
    scale, offset = place
    pose = views_of(np.array([azimuth]), np.array([elevation]), SKETCH).pose[0].numpy()
    right, up, back = offset @ pose[:3, :3]
    nearer = raster.DISTANCE / (raster.DISTANCE - back)
    half = raster.DISTANCE * math.tan(math.radians(raster.FOV_Y) / 2)
    size = scale * nearer
    theta = torch.tensor([[1 / size, 0, -right * nearer / half / size], [0, 1 / size, up * nearer / half / size]])
    grid = torch.nn.functional.affine_grid(theta[None].float(), [1, *sketch.shape], align_corners=False)
    return torch.nn.functional.grid_sample(sketch[None], grid, align_corners=False)[0]
