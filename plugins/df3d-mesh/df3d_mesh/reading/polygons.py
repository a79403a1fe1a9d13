"""Polygons of any number of corners as triangles, concave ones too."""

from __future__ import annotations

import manifold3d
import numpy as np


def triangulate(vertices: np.ndarray, counts: np.ndarray, corners: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Triangles of polygons: places in `corners` (F, 3), and the polygon of each (F,).

    vertices (P, 3); counts (N,) of corners of each polygon, which `corners` (sum of counts,) names one after the other.
    """
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]]).astype(np.int64)
    found: list[tuple[np.ndarray, np.ndarray]] = []
    for count in np.unique(counts):
        (which,) = np.nonzero(counts == count)
        if count < 3:
            continue
        places = starts[which, None] + np.arange(count)
        fan = np.stack([np.zeros(count - 2, np.int64), np.arange(1, count - 1), np.arange(2, count)], axis=1)
        triangles = places[:, fan].reshape(len(which), count - 2, 3)
        if count > 3:
            for index in np.flatnonzero(~_convex(vertices[corners[places]])):
                triangles[index] = places[index][_clipped(vertices[corners[places[index]]], fan)]
        found.append((triangles.reshape(-1, 3), np.repeat(which, count - 2)))
    if not found:
        return np.zeros((0, 3), np.int64), np.zeros(0, np.int64)
    faces, owners = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(owners, kind="stable")
    return faces[order], owners[order]


def _convex(points: np.ndarray) -> np.ndarray:
    """(N,) whether polygons (N, K, 3) are convex, all their corners turning the same way."""
    before, after = points - np.roll(points, 1, axis=1), np.roll(points, -1, axis=1) - points
    turns = np.cross(before, after)
    along = (turns * turns.sum(1, keepdims=True)).sum(2)
    convex: np.ndarray = (along >= -1e-12 * np.abs(along).max(1, keepdims=True)).all(1)
    return convex


def _clipped(points: np.ndarray, fan: np.ndarray) -> np.ndarray:
    """(K - 2, 3) of one polygon (K, 3), seen along its normal; a fan where it cannot be told."""
    normal = np.cross(points, np.roll(points, -1, axis=0)).sum(0)  # Newell's
    normal = normal / max(float(np.linalg.norm(normal)), 1e-300)
    axis = np.abs(normal).argmax()
    across = np.cross(np.eye(3)[(axis + 1) % 3], normal)
    flat = (points - points[0]) @ np.stack([across, np.cross(normal, across)], axis=1)
    flat = (flat - flat.min(0)) / max(float(np.ptp(flat, axis=0).max()), 1e-300)
    try:
        triangles = np.asarray(manifold3d.triangulate([flat], -1, True), np.int64)
    except (RuntimeError, ValueError):
        return fan
    return triangles if triangles.shape == fan.shape else fan
