"""How far two surfaces are from one another, by points on them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.spatial import cKDTree

from df3d.types import Mesh


class Surface(NamedTuple):
    """N points on a surface, and where it faces there."""

    points: np.ndarray  # (N, 3)
    normals: np.ndarray  # (N, 3) unit


class Distances(NamedTuple):
    """Between two surfaces."""

    chamfer: float  # mean distance from points of either surface to the other one, world units
    f_score: float  # harmonic mean of the shares of points that are within a distance of the other surface
    normals: float  # mean absolute cosine of the normals of nearest points (Mescheder et al., arXiv 1812.03828, appendix)


def distances(one: Surface, other: Surface, within: float) -> Distances:
    """Of two surfaces; `within` is the distance up to which a point counts as found."""
    (there, at), (back, to) = cKDTree(other.points).query(one.points), cKDTree(one.points).query(other.points)
    precision, recall = float((there < within).mean()), float((back < within).mean())
    cosines = [np.abs((one.normals * other.normals[at]).sum(1)).mean(), np.abs((other.normals * one.normals[to]).sum(1)).mean()]
    f_score = 2 * precision * recall / max(precision + recall, 1e-9)
    return Distances(float(there.mean() + back.mean()) / 2, f_score, float(np.mean(cosines)))


def sample_surface(mesh: Mesh, count: int) -> Surface:
    """`count` points evenly over the area of a mesh, the same ones each time."""
    return sampled(mesh.vertices[mesh.faces].astype(float), count, np.random.default_rng(0))[0]


def sampled(corners: np.ndarray, count: int, rng: np.random.Generator) -> tuple[Surface, np.ndarray]:
    """`count` points on triangles (F, 3, 3), and the triangle of each."""
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    area = np.linalg.norm(normals, axis=1)
    triangle = rng.choice(len(corners), count, p=area / area.sum())
    u, v = rng.random((2, count, 1))
    flip = u + v > 1
    u, v = np.where(flip, 1 - u, u), np.where(flip, 1 - v, v)
    a, b, c = corners[triangle].transpose(1, 0, 2)
    return Surface(a + u * (b - a) + v * (c - a), normals[triangle] / area[triangle, None]), triangle
