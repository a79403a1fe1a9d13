"""Faces of a mesh that pass through each other."""

from __future__ import annotations

import numpy as np

from df3d.cpu import kernel

PAIRS = 4e9  # of faces in one cell, at most


def intersecting(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray | None:
    """(F,) whether an edge of the face passes through another face, or another's edge through it, with no common vertex.

    None where it would take minutes to tell: many small faces beside a few that are far larger.

    vertices (P, 3), faces (F, 3) with shared vertices merged. Faces that only touch, or lie in one plane, do not count.
    Candidates come from a uniform grid with cells about twice as large as a face; segments meet triangles as in Moeller and
    Trumbore, "Fast, Minimum Storage Ray/Triangle Intersection" (1997).
    """
    corners = np.asarray(vertices, np.float64)[faces]
    low, high = corners.min(1), corners.max(1)
    start, extent = low.min(0), max(float((high.max(0) - low.min(0)).max()), 1e-12)
    cell = max(2.0 * float(np.median((high - low).max(1))), extent / 512)
    while True:
        first, last = (((box - start) // cell).astype(np.int64) for box in (low, high))
        entries = int((last - first + 1).prod(1).sum())
        if entries <= 64 * len(faces) + 1_000_000:  # a few faces far larger than the others would be in too many cells
            break
        cell *= 2.0
    keys, owners = _cells(first, last, last.max(0) + 1, entries)
    order = np.argsort(keys, kind="stable")
    bounds = np.flatnonzero(np.diff(keys[order], prepend=-1, append=-1))
    if (np.diff(bounds).astype(np.float64) ** 2).sum() > PAIRS:
        return None
    hit = np.zeros(len(faces), np.bool_)
    _mark(corners, np.asarray(faces, np.int64), low, high, owners[order], bounds, hit)
    return hit


@kernel
def _cells(first, last, shape, count):
    """Each face's cells, as flat keys, and the face that each belongs to."""
    keys, owners = np.empty(count, np.int64), np.empty(count, np.int64)
    n = 0
    for f in range(first.shape[0]):
        for x in range(first[f, 0], last[f, 0] + 1):
            for y in range(first[f, 1], last[f, 1] + 1):
                for z in range(first[f, 2], last[f, 2] + 1):
                    keys[n], owners[n] = (x * shape[1] + y) * shape[2] + z, f
                    n += 1
    return keys, owners


@kernel
def _mark(corners, faces, low, high, owners, bounds, hit):
    for c in range(bounds.shape[0] - 1):
        for i in range(bounds[c], bounds[c + 1]):
            for j in range(i + 1, bounds[c + 1]):
                a, b = owners[i], owners[j]
                if hit[a] and hit[b]:
                    continue
                apart = False
                for k in range(3):
                    apart |= low[a, k] > high[b, k] or low[b, k] > high[a, k]
                    for m in range(3):
                        apart |= faces[a, k] == faces[b, m]
                if not apart and (_pierces(corners[a], corners[b]) or _pierces(corners[b], corners[a])):
                    hit[a] = hit[b] = True


@kernel
def _pierces(triangle, other):
    """Whether an edge of `other` passes through the inside of `triangle`, both (3, 3)."""
    a = triangle[0]
    u, v = triangle[1] - a, triangle[2] - a
    for k in range(3):
        origin = other[k]
        along = other[(k + 1) % 3] - origin
        p = np.cross(along, v)
        scale = np.dot(u, p)
        if abs(scale) < 1e-18:
            continue
        off = origin - a
        s = np.dot(off, p) / scale
        q = np.cross(off, u)
        t = np.dot(along, q) / scale
        r = np.dot(v, q) / scale
        if s > 1e-9 and t > 1e-9 and s + t < 1 - 1e-9 and r > 1e-9 and r < 1 - 1e-9:
            return True
    return False
