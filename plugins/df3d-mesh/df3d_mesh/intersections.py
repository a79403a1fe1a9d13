"""Faces of a mesh that pass through each other."""

from __future__ import annotations

import numpy as np

from df3d.system.cpu import kernel

PAIRS = 4e9  # of faces in one cell, at most
TOUCH = 1e-7  # of the mesh's extent: single precision does not tell less from nothing


def intersecting(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray | None:
    """(F,) whether the face passes through another one with which it has no common vertex.

    None where it would take minutes to tell: many small faces beside a few that are far larger.

    vertices (P, 3), faces (F, 3) with shared vertices merged. Faces that only touch, or lie in one plane, do not count.
    Candidates come from a uniform grid with cells about twice as large as a face; pairs are told by T. Moeller, "A fast
    triangle-triangle intersection test" (1997).
    """
    corners = np.asarray(vertices, np.float64)[faces]
    corners = (corners - corners.min((0, 1))) / max(float(np.ptp(corners, axis=(0, 1)).max()), 1e-300)  # into the unit cube
    low, high = corners.min(1), corners.max(1)
    cell = max(2.0 * float(np.median((high - low).max(1))), 1 / 512)
    while True:
        first, last = ((box // cell).astype(np.int64) for box in (low, high))
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
                if not apart and _cross(corners[a], corners[b]):
                    hit[a] = hit[b] = True


@kernel
def _cross(a, b):
    """Whether two triangles (3, 3) pass through each other.

    Each must have corners on both sides of the other's plane; and on the line in which the planes meet, the stretch inside
    the one and the stretch inside the other must overlap.
    """
    normal_a, normal_b = np.cross(a[1] - a[0], a[2] - a[0]), np.cross(b[1] - b[0], b[2] - b[0])
    length_a, length_b = np.sqrt(np.dot(normal_a, normal_a)), np.sqrt(np.dot(normal_b, normal_b))
    if length_a < 1e-30 or length_b < 1e-30:
        return False
    side_a, side_b = np.empty(3), np.empty(3)
    for k in range(3):
        side_a[k] = np.dot(a[k] - b[0], normal_b) / length_b
        side_b[k] = np.dot(b[k] - a[0], normal_a) / length_a
    if min(side_a.max(), -side_a.min(), side_b.max(), -side_b.min()) < TOUCH:
        return False
    line = np.cross(normal_a, normal_b)
    line /= np.sqrt(np.dot(line, line))
    low_a, high_a = _stretch(a, side_a, line)
    low_b, high_b = _stretch(b, side_b, line)
    return min(high_a, high_b) - max(low_a, low_b) > TOUCH


@kernel
def _stretch(triangle, side, line):
    """Where a triangle meets a plane, along their common line; `side`: its corners' signed distances to the plane."""
    low, high = np.inf, -np.inf
    for k in range(3):
        here, there = side[k], side[(k + 1) % 3]
        if (here > 0) != (there > 0):
            point = triangle[k] + (triangle[(k + 1) % 3] - triangle[k]) * (here / (here - there))
            place = np.dot(point, line)
            low, high = min(low, place), max(high, place)
    return low, high
