"""The scorer `toybox`: an asset against the world's own objects of its prompt. No learned model has a say in it.

The pictures are the world's (its camera, light and background, at 32 x 32), from 8 sides; the world's objects are taken
with their middle proportions and with some drawn at random, and the nearest of them counts.
"""

from __future__ import annotations

import numpy as np
from df3d_prior import raster
from df3d_prior.likeness import color_error, faces_met, nearest_errors, silhouette_iou

from df3d.errors import ExportError, PromptError
from df3d.protocols import Subject
from df3d.types import Mesh, MeshAsset
from df3d_toybox.candidates import TURNS, altered, candidates, look
from df3d_toybox.captions import Caption, read
from df3d_toybox.config import ToyboxScorerConfig
from df3d_toybox.distances import distances, sample_surface
from df3d_toybox.references import FINE, POINTS, RING, VIEWS, Reference, reference, rings, small, views
from df3d_toybox.world.nouns import NOUNS


class ToyboxScorer:
    """Measures, all between 0 and 1 unless it says otherwise:

    - `top1`, `top5`: whether the prompt is the first, or among the first five, of more than a hundred captions, by the mean
      squared error of the 8 pictures to each caption's nearest object; `rank`, from 1.
    - `exact`: whether the prompt is nearer than itself with one thing changed: a colour, the noun, a part, and, where it has
      a front, the same turned by a quarter, a half and three quarters. `facing`: the last of these alone.
    - `iou`: intersection over union of the silhouettes, a mean over the views; `iou_fine`: the same at 128 x 128.
    - `chamfer`: mean distance from points of either surface to the other one, in world units (the object fills a ball of
      radius 0.85); `f_score`: harmonic mean of the shares of points that are within 0.05 of the other surface; `normals`: mean
      absolute cosine of the normals of nearest points.
    - `color_error`: mean absolute difference of the colours where both are seen.
    - `faces`: how many faces somebody meets who walks around the object once; `janus`: whether the object is more like the
      world's own with two or three faces (above 0.5) than like those with one (below). Only of things that have a front.
    """

    def __init__(self, config: ToyboxScorerConfig, *, device: str = "cpu") -> None:
        self.config = config
        self._seeds: tuple[int | None, ...] = (None, *range(config.variations))

    def score(self, subject: Subject) -> dict[str, float]:
        if not subject.prompt:
            raise PromptError("there is no prompt to score against", "give one with --prompt or --prompts")
        caption = read(subject.prompt).caption
        if caption is None:
            raise PromptError(f"the toybox has no object of the prompt `{subject.prompt}`", "it scores prompts that it knows")
        images = small(_drawn(subject, VIEWS))
        references = [reference(caption, seed) for seed in self._seeds]
        found = self._retrieve(images, caption) | _likeness(images, _drawn(subject, VIEWS, FINE)[..., 3], references)
        surface = sample_surface(_mesh(subject), POINTS)
        told = [distances(surface, other.surface, self.config.within) for other in references]
        found["chamfer"], found["f_score"] = min(d.chamfer for d in told), max(d.f_score for d in told)
        found["normals"] = max(d.normals for d in told)
        if NOUNS[caption.subject.noun].front:
            ring = small(_drawn(subject, RING))
            found["faces"], found["janus"] = count_faces(ring, caption), janus(ring, caption)
        return found

    def _retrieve(self, images: np.ndarray, caption: Caption) -> dict[str, float]:
        """`images` (VIEWS, 32, 32, 4) among all candidates; the caption itself is one of them even if it is in no list."""
        looks, pool = candidates(self._seeds)
        right = float(nearest_errors(images, np.array([[reference(caption, seed).images for seed in self._seeds]]))[0])
        others = pool[[look_ != look(caption) for look_ in looks]]
        rank = 1 + int((nearest_errors(images, others) < right).sum())
        found = {"rank": float(rank), "top1": float(rank == 1), "top5": float(rank <= 5)}
        names, changed = altered(caption, self._seeds)
        errors = nearest_errors(images, changed)
        found["exact"] = float(errors.min() > right)
        if names[-1] == "facing":
            found["facing"] = float(errors[-len(TURNS) :].min() > right)
        return found


def _drawn(subject: Subject, count: int, size: int = 64) -> np.ndarray:
    """(count, size, size, 4) as the world draws its own."""
    return subject.draw(views(count, size), background=raster.BACKGROUND, ambient=raster.AMBIENT).numpy()


def _likeness(images: np.ndarray, silhouettes: np.ndarray, references: list[Reference]) -> dict[str, float]:
    nearest = min(references, key=lambda other: _error(images, other.images))
    return {
        "iou": max(silhouette_iou(images[..., 3], other.images[..., 3]) for other in references),
        "iou_fine": max(silhouette_iou(silhouettes, other.silhouettes) for other in references),
        "color_error": color_error(images, nearest.images),
    }


def _mesh(subject: Subject) -> Mesh:
    fitted = subject.fitted
    if not isinstance(fitted, MeshAsset):
        raise ExportError(f"the shape of {fitted.kind} cannot be scored", "give a mesh")
    return fitted.mesh


def janus(ring: np.ndarray, caption: Caption) -> float:
    """e_1 / (e_1 + e_m): the root mean squared errors of pictures from all around (RING, 32, 32, 4), the first from the
    front, to the nearest of the world's objects with one face and to the nearest with several."""
    one, many = (min(_error(ring, other) for other in some) ** 0.5 for some in rings(caption))
    return one / max(one + many, 1e-9)


def count_faces(ring: np.ndarray, caption: Caption) -> float:
    """Faces met on one way around (RING, 32, 32, 4); a second one that is added to a whole object can be missed, which `janus`
    tells. Each picture is looked up among the world's pictures of the caption, in several proportions."""
    return faces_met(ring, rings(caption)[0])


def _error(images: np.ndarray, others: np.ndarray) -> float:
    return float(((images[..., :3] - others[..., :3]) ** 2).mean())
