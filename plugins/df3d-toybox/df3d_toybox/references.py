"""The truth of the scorer `toybox`: pictures and surfaces of the world's own objects."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from df3d_prior import raster

from df3d.scene.cameras import orbit
from df3d.types import Cameras
from df3d_toybox.captions import Caption
from df3d_toybox.distances import Surface, sampled
from df3d_toybox.world import render, scene
from df3d_toybox.world.faces import many_faced
from df3d_toybox.world.shapes import Parts

VIEWS, RING, ELEVATION = 8, 24, 15.0
FINE = 128  # pixels of the silhouettes that are compared finely
POINTS = 4096


@dataclass(frozen=True)
class Reference:
    """One of the world's objects of a caption."""

    images: np.ndarray  # (VIEWS, 32, 32, 4) colour and coverage
    silhouettes: np.ndarray  # (VIEWS, FINE, FINE) coverage
    surface: Surface  # (POINTS, 3) on its outside


@cache
def reference(caption: Caption, seed: int | None) -> Reference:
    """`seed` None: with the middle proportions."""
    parts = build(caption, seed)
    silhouettes = drawn(parts, views(VIEWS, FINE))[..., 3]
    return Reference(reference_pictures(caption, seed), silhouettes, _outside(parts, POINTS))


@cache
def reference_pictures(caption: Caption, seed: int | None) -> np.ndarray:
    """(VIEWS, 32, 32, 4) of the world's object of a caption."""
    return pictures(build(caption, seed), VIEWS)


def pictures(parts: Parts, count: int) -> np.ndarray:
    """(count, 32, 32, 4) of an object from all around."""
    return small(drawn(parts, views(count)))


@lru_cache(maxsize=8)  # 8 MB each
def rings(caption: Caption) -> tuple[np.ndarray, np.ndarray]:
    """(4, RING, 32, 32, 4) pictures of the world's objects of a caption, and (16, ...) of the same with two and three faces."""
    own = [build(caption, seed) for seed in (None, 0, 1, 2)]
    many = [other for parts in own for other in many_faced(parts)]
    one, several = (np.array([pictures(parts, RING) for parts in some], np.float32) for some in (own, many))
    return one, several


def build(caption: Caption, seed: int | None) -> Parts:
    return scene.build(caption, None if seed is None else np.random.default_rng(seed))


def drawn(parts: Parts, cameras: Cameras) -> np.ndarray:
    """(V, H, W, 4) of an object as the world draws it."""
    return render.render([render.pack(parts)] * len(cameras), cameras.pose.numpy(), size=cameras.height)


def views(count: int, size: int = 64) -> Cameras:
    """The world's camera, from all around, the first from the front."""
    return orbit(count, elevation=ELEVATION, distance=raster.DISTANCE, fov_y=raster.FOV_Y, size=size)


def small(images: np.ndarray) -> np.ndarray:
    """(V, 64, 64, C) to (V, 32, 32, C), by the mean."""
    return images.reshape(len(images), 32, 2, 32, 2, images.shape[-1]).mean((2, 4))


def _outside(parts: Parts, count: int) -> Surface:
    """Points on solids that lie inside no other one."""
    rng = np.random.default_rng(0)
    corners = [vertices[faces] for vertices, faces in (solid.mesh() for solid in parts)]
    owner = np.repeat(np.arange(len(parts)), [len(c) for c in corners])
    points, normals = np.zeros((0, 3)), np.zeros((0, 3))
    while len(points) < count:
        found, triangle = sampled(np.concatenate(corners), 2 * count, rng)
        hidden = np.zeros(len(found.points), bool)
        for i, solid in enumerate(parts):
            hidden |= solid.contains(found.points) & (owner[triangle] != i)
        points, normals = np.concatenate([points, found.points[~hidden]]), np.concatenate([normals, found.normals[~hidden]])
    return Surface(points[:count], normals[:count])
