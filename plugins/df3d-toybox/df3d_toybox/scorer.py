"""The scorer `toybox`: an asset against the world's own objects of its prompt. No learned model has a say in it.

The pictures are the world's (its camera, light and background, at 32 x 32), from 8 sides; the world's objects are taken
with their middle proportions and with some drawn at random, and the nearest of them counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from scipy.spatial import cKDTree

from df3d.errors import ExportError, PromptError
from df3d.protocols import Subject
from df3d.scene.cameras import orbit
from df3d.types import Cameras, Mesh, MeshAsset
from df3d_toybox.captions import COLOR_NAMES, NOUN_NAMES, Caption, Thing, read
from df3d_toybox.config import ToyboxScorerConfig
from df3d_toybox.world import render, scene
from df3d_toybox.world.faces import many_faced
from df3d_toybox.world.nouns import NOUNS
from df3d_toybox.world.shapes import Parts

VIEWS, RING, ELEVATION = 8, 24, 15.0
POINTS = 4096
FACING = 45.0  # degrees on either side of the front within which an object shows its face


@dataclass(frozen=True)
class Reference:
    """One of the world's objects of a caption."""

    images: np.ndarray  # (VIEWS, 32, 32, 4) colour and coverage
    points: np.ndarray  # (POINTS, 3) on its surface


class ToyboxScorer:
    """Measures, all between 0 and 1 unless it says otherwise:

    - `top1`, `top5`: whether the prompt is the first, or among the first five, of more than a hundred captions, by the mean
      squared error of the 8 pictures to each caption's nearest object; `rank`, from 1.
    - `iou`: intersection over union of the silhouettes, a mean over the views.
    - `chamfer`: mean distance from points of either surface to the other one, in world units (the object fills a ball of
      radius 0.85); `f_score`: harmonic mean of the shares of points that are within 0.05 of the other surface.
    - `color_error`: mean absolute difference of the colours where both are seen.
    - `faces`: how many faces somebody meets who walks around the object once; `janus`: whether the object is more like the
      world's own with two or three faces (above 0.5) than like those with one (below). Only of things that have a front.
    """

    def __init__(self, config: ToyboxScorerConfig, *, device: str = "cpu") -> None:
        self.config = config

    def score(self, subject: Subject) -> dict[str, float]:
        if not subject.prompt:
            raise PromptError("there is no prompt to score against", "give one with --prompt or --prompts")
        caption = read(subject.prompt).caption
        if caption is None:
            raise PromptError(f"the toybox has no object of the prompt `{subject.prompt}`", "it scores prompts that it knows")
        images = small(subject.draw(_views(VIEWS), background=render.BACKGROUND, ambient=render.AMBIENT).numpy())
        references = [reference(caption, seed) for seed in self._seeds()]
        found = self._retrieve(images, caption)
        found["iou"] = max(silhouette_iou(images, other.images) for other in references)
        nearest = min(references, key=lambda other: _error(images, other.images))
        found["color_error"] = color_error(images, nearest.images)
        points = sample_surface(_mesh(subject), POINTS)
        distances = [chamfer(points, other.points, self.config.within) for other in references]
        found["chamfer"], found["f_score"] = min(d for d, _ in distances), max(f for _, f in distances)
        if NOUNS[caption.subject.noun].front:
            ring = subject.draw(_views(RING), background=render.BACKGROUND, ambient=render.AMBIENT).numpy()
            found["faces"], found["janus"] = count_faces(small(ring), caption), janus(small(ring), caption)
        return found

    def _retrieve(self, images: np.ndarray, caption: Caption) -> dict[str, float]:
        """`images` (VIEWS, 32, 32, 4) among all candidates; the caption itself is one of them even if it is in no list."""
        looks, pool = candidates(self._seeds())
        mine = [reference(caption, seed).images for seed in self._seeds()]
        right = min(_error(images, other) for other in mine)
        others = pool[[look_ != look(caption) for look_ in looks]]
        errors = ((others[..., :3] - images[..., :3]) ** 2).mean((2, 3, 4, 5)).min(1)
        rank = 1 + int((errors < right).sum())
        return {"rank": float(rank), "top1": float(rank == 1), "top5": float(rank <= 5)}

    def _seeds(self) -> tuple[int | None, ...]:
        return (None, *range(self.config.variations))


def _mesh(subject: Subject) -> Mesh:
    fitted = subject.fitted
    if not isinstance(fitted, MeshAsset):
        raise ExportError(f"the shape of {fitted.kind} cannot be scored", "give a mesh")
    return fitted.mesh


@cache
def reference(caption: Caption, seed: int | None) -> Reference:
    return Reference(reference_pictures(caption, seed), _outer_points(_build(caption, seed), POINTS))


def reference_pictures(caption: Caption, seed: int | None) -> np.ndarray:
    """(VIEWS, 32, 32, 4) of the world's object of a caption; seed None: with the middle proportions."""
    return pictures(_build(caption, seed), VIEWS)


def pictures(parts: Parts, views: int) -> np.ndarray:
    """(views, 32, 32, 4) of an object from all around."""
    return small(render.render([render.pack(parts)] * views, _views(views).pose.numpy(), size=64))


@lru_cache(maxsize=8)  # 8 MB each
def rings(caption: Caption) -> tuple[np.ndarray, np.ndarray]:
    """(4, RING, 32, 32, 4) pictures of the world's objects of a caption, and (16, ...) of the same with two and three faces."""
    own = [_build(caption, seed) for seed in (None, 0, 1, 2)]
    many = [other for parts in own for other in many_faced(parts)]
    one, several = (np.array([pictures(parts, RING) for parts in some], np.float32) for some in (own, many))
    return one, several


def _build(caption: Caption, seed: int | None) -> Parts:
    return scene.build(caption, None if seed is None else np.random.default_rng(seed))


@cache
def candidates(seeds: tuple[int | None, ...]) -> tuple[list[tuple[str, str]], np.ndarray]:
    """Looks of the captions that prompts are retrieved among, and pictures (captions, seeds, VIEWS, 32, 32, 4) of each.

    Every noun in its own colour and three others, and each on one thing or wearing a hat: more than a hundred.
    """
    captions = []
    for i, noun in enumerate(NOUN_NAMES):
        colors = [None, *(COLOR_NAMES[(3 * i + 4 * k) % len(COLOR_NAMES)] for k in range(3))]
        captions += [Caption(Thing(noun, color)) for color in colors]
        support = scene.SUPPORTS[i % len(scene.SUPPORTS)]
        captions.append(Caption(Thing(noun), "on", Thing(support)))
        if noun in scene.WEARERS:
            captions.append(Caption(Thing(noun), "wearing", Thing("hat")))
    unique: dict[tuple[str, str], Caption] = {}
    for caption in captions:  # "a red car" and "a car" are one thing: cars are red
        unique.setdefault(look(caption), caption)
    drawn = [[reference_pictures(caption, seed) for seed in seeds] for caption in unique.values()]
    return list(unique), np.array(drawn, np.float32)


def look(caption: Caption) -> tuple[str, str]:
    """Captions with the same look are the same candidate."""

    def full(thing: Thing | None) -> str:
        return "" if thing is None else f"{thing.color or NOUNS[thing.noun].natural} {thing.noun}"

    return full(caption.subject), f"{caption.relation} {full(caption.other)}"


def small(images: np.ndarray) -> np.ndarray:
    """(V, 64, 64, C) to (V, 32, 32, C), by the mean."""
    return images.reshape(len(images), 32, 2, 32, 2, images.shape[-1]).mean((2, 4))


def silhouette_iou(images: np.ndarray, others: np.ndarray) -> float:
    a, b = images[..., 3], others[..., 3]
    return float((np.minimum(a, b).sum((1, 2)) / np.maximum(np.maximum(a, b).sum((1, 2)), 1e-9)).mean())


def color_error(images: np.ndarray, others: np.ndarray) -> float:
    """1 where the two are seen nowhere together."""
    both = np.minimum(images[..., 3], others[..., 3])[..., None]
    if both.sum() < 1:
        return 1.0
    return float((np.abs(images[..., :3] - others[..., :3]) * both).sum() / (3 * both.sum()))


def chamfer(points: np.ndarray, others: np.ndarray, within: float) -> tuple[float, float]:
    """Mean of both mean nearest distances, and the F-score at the distance `within`."""
    there, back = cKDTree(others).query(points)[0], cKDTree(points).query(others)[0]
    precision, recall = float((there < within).mean()), float((back < within).mean())
    return float(there.mean() + back.mean()) / 2, 2 * precision * recall / max(precision + recall, 1e-9)


def janus(ring: np.ndarray, caption: Caption) -> float:
    """e_1 / (e_1 + e_m): the root mean squared errors of pictures from all around (RING, 32, 32, 4), the first from the
    front, to the nearest of the world's objects with one face and to the nearest with several."""
    one, many = (min(_error(ring, other) for other in some) ** 0.5 for some in rings(caption))
    return one / max(one + many, 1e-9)


def count_faces(ring: np.ndarray, caption: Caption) -> float:
    """Faces met on one way around; a second one that is added to a whole object can be missed, which `janus` tells.

    `ring` (RING, 32, 32, 4) are pictures from evenly spaced azimuths, the first one 0. Each is looked up among the world's
    pictures of the caption, from all sides and in several proportions.
    """
    azimuths = np.arange(RING) * 360.0 / RING
    away = np.minimum(azimuths, 360.0 - azimuths)
    errors = np.full((RING, RING), np.inf)
    for sides in rings(caption)[0]:
        errors = np.minimum(errors, ((ring[:, None, ..., :3] - sides[None, ..., :3]) ** 2).mean((2, 3, 4)))
    shows = away[errors.argmin(1)] <= FACING
    shows = np.roll(shows, 1).astype(int) + shows + np.roll(shows, -1) >= 2  # one view alone is no face, and parts none
    runs = int((shows & ~np.roll(shows, 1)).sum())
    return float(max(runs, round(float(shows.mean()) * 180.0 / FACING)))  # faces side by side are one long run


def sample_surface(mesh: Mesh, count: int) -> np.ndarray:
    """(count, 3) points evenly over the area of a mesh, the same ones each time."""
    return _sample(mesh.vertices[mesh.faces].astype(float), count, np.random.default_rng(0))[0]


def _outer_points(parts: Parts, count: int) -> np.ndarray:
    """Points on solids that lie inside no other one."""
    rng = np.random.default_rng(0)
    corners = [vertices[faces] for vertices, faces in (solid.mesh() for solid in parts)]
    owner = np.repeat(np.arange(len(parts)), [len(c) for c in corners])
    found: list[np.ndarray] = []
    while sum(map(len, found)) < count:
        points, triangle = _sample(np.concatenate(corners), 2 * count, rng)
        hidden = np.zeros(len(points), bool)
        for i, solid in enumerate(parts):
            hidden |= solid.contains(points) & (owner[triangle] != i)
        found.append(points[~hidden])
    return np.concatenate(found)[:count]


def _sample(corners: np.ndarray, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points (count, 3) on triangles (F, 3, 3), and the triangle of each."""
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    triangle = rng.choice(len(corners), count, p=area / area.sum())
    u, v = rng.random((2, count, 1))
    flip = u + v > 1
    u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
    a, b, c = corners[triangle].transpose(1, 0, 2)
    return a + u * (b - a) + v * (c - a), triangle


def _views(count: int) -> Cameras:
    return orbit(count, elevation=ELEVATION, distance=render.DISTANCE, fov_y=render.FOV_Y, size=64)


def _error(images: np.ndarray, others: np.ndarray) -> float:
    return float(((images[..., :3] - others[..., :3]) ** 2).mean())
