"""The four convex solids everything in the world is made of, and their meshes.

A solid is a unit shape under an affine map: a point `u` of the unit shape lies at `center + axes @ u`.

| kind      | unit shape                                                                |
| --------- | ------------------------------------------------------------------------- |
| ELLIPSOID | the ball of radius 1                                                      |
| DOME      | the half of that ball with y >= 0                                         |
| FRUSTUM   | round, y in [-1, 1]; radius 1 at the bottom, `taper[0]` at the top        |
| BLOCK     | y in [-1, 1]; x and z in [-1, 1] at the bottom, scaled by `taper` at the top |
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

ELLIPSOID, DOME, FRUSTUM, BLOCK = range(4)
_MIRROR = np.array((-1.0, 1.0, 1.0))


@dataclass(frozen=True)
class Solid:
    """One coloured convex solid; `color` is sRGB in [0, 1]."""

    kind: int
    center: np.ndarray  # (3,)
    axes: np.ndarray  # (3, 3), columns are the images of the unit axes
    color: tuple[float, float, float]
    taper: tuple[float, float] = (1.0, 1.0)

    def moved(self, scale: float, offset: np.ndarray) -> Solid:
        """The same solid after `point -> scale * point + offset`."""
        return Solid(self.kind, self.center * scale + offset, self.axes * scale, self.color, self.taper)

    def mirrored(self) -> Solid:
        """Its mirror image at the plane x = 0; every unit shape is its own."""
        return Solid(self.kind, self.center * _MIRROR, self.axes * np.outer(_MIRROR, _MIRROR), self.color, self.taper)

    def corners(self) -> np.ndarray:
        """(N, 3) points whose bounding box is the solid's, to within a per cent."""
        return self.center + _outline(self.kind, self.taper) @ self.axes.T

    def mesh(self, segments: int = 24) -> tuple[np.ndarray, np.ndarray]:
        """Closed triangle mesh: vertices (V, 3) and faces (F, 3), counter-clockwise from outside."""
        vertices, faces = _unit_mesh(self.kind, self.taper, segments)
        if np.linalg.det(self.axes) < 0:
            faces = faces[:, ::-1]
        return self.center + vertices @ self.axes.T, faces

    def contains(self, points: np.ndarray) -> np.ndarray:
        """(N,) bool: which of `points` (N, 3) lie inside."""
        u = (points - self.center) @ np.linalg.inv(self.axes).T
        x, y, z = np.abs(u[:, 0]), u[:, 1], np.abs(u[:, 2])
        if self.kind in (ELLIPSOID, DOME):
            inside = (u**2).sum(1) < 1.0
            return inside & (y > 0) if self.kind == DOME else inside
        rise = 0.5 * (y + 1.0)
        wide = 1.0 + (self.taper[0] - 1.0) * rise
        if self.kind == FRUSTUM:
            return (np.abs(y) < 1.0) & (x**2 + z**2 < wide**2)
        return (np.abs(y) < 1.0) & (x < wide) & (z < 1.0 + (self.taper[1] - 1.0) * rise)


class Parts(list[Solid]):
    """A list of solids with words for adding them. Sizes are half extents, angles degrees."""

    head: tuple[float, float, float, float] | None = None  # top of the head (x, y, z) and its radius, for hats
    seat: tuple[float, float, float, float, float] | None = None  # where things stand: x, y, z, half width, half length

    def ball(self, at, size, color, turn=(0.0, 0.0, 0.0)) -> None:
        self.append(Solid(ELLIPSOID, np.array(at, float), _rotation(turn) * _three(size), color))

    def dome(self, at, size, color, turn=(0.0, 0.0, 0.0)) -> None:
        self.append(Solid(DOME, np.array(at, float), _rotation(turn) * _three(size), color))

    def block(self, at, size, color, taper=(1.0, 1.0), turn=(0.0, 0.0, 0.0)) -> None:
        self.append(Solid(BLOCK, np.array(at, float), _rotation(turn) * _three(size), color, taper))

    def tube(self, start, end, radius, color, end_radius=None) -> None:
        """A round bar from `start` to `end`, a cone where `end_radius` is 0."""
        start, end = np.array(start, float), np.array(end, float)
        up = 0.5 * (end - start)
        along = up / np.linalg.norm(up)
        side = _cross(along, (0.0, 0.0, 1.0) if abs(along[2]) < 0.9 else (1.0, 0.0, 0.0))
        side /= np.linalg.norm(side)
        other = _cross(side, along)
        axes = np.stack([side * radius, up, other * radius], axis=1)
        taper = 1.0 if end_radius is None else end_radius / radius
        self.append(Solid(FRUSTUM, 0.5 * (start + end), axes, color, (taper, taper)))

    def pair(self, add, at, *args, **kwargs) -> None:
        """Add twice, mirrored at the plane x = 0: `parts.pair(parts.ball, at, size, color)`."""
        add(at, *args, **kwargs)
        self.append(self[-1].mirrored())

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Lowest and highest corner, each (3,)."""
        points = np.concatenate([solid.corners() for solid in self])
        return points.min(0), points.max(0)

    def moved(self, scale: float, offset) -> Parts:
        offset = np.array(offset, float)
        parts = Parts(solid.moved(scale, offset) for solid in self)
        if self.head is not None:
            parts.head = (*(np.array(self.head[:3]) * scale + offset), self.head[3] * scale)
        if self.seat is not None:
            parts.seat = (*(np.array(self.seat[:3]) * scale + offset), self.seat[3] * scale, self.seat[4] * scale)
        return parts


def _three(size) -> np.ndarray:
    return np.array(size if isinstance(size, tuple) else (size,) * 3, float)


def _cross(a, b) -> np.ndarray:
    """Of two vectors; np.cross takes ten times as long on so few numbers."""
    return np.array((a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]))


@cache
def _rotation(turn: tuple[float, float, float]) -> np.ndarray:
    """(3, 3) matrix that turns by degrees about x, then y, then z."""
    (cx, cy, cz), (sx, sy, sz) = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


@cache
def _unit_mesh(kind: int, taper: tuple[float, float], segments: int) -> tuple[np.ndarray, np.ndarray]:
    if kind == BLOCK:
        return _block_mesh(taper)
    if kind == FRUSTUM:
        profile = [(0.0, -1.0), (1.0, -1.0), (taper[0], 1.0), (0.0, 1.0)]
    else:
        start = 0.0 if kind == DOME else -0.5 * np.pi
        angles = np.linspace(start, 0.5 * np.pi, max(segments // 2, 4) + 1)
        profile = [(np.cos(a), np.sin(a)) for a in angles]
        profile[0], profile[-1] = (0.0 if kind == ELLIPSOID else 1.0, profile[0][1]), (0.0, 1.0)
        if kind == DOME:
            profile.insert(0, (0.0, 0.0))
    return _revolve(profile, segments)


@lru_cache(maxsize=4096)
def _outline(kind: int, taper: tuple[float, float]) -> np.ndarray:
    """(N, 3) points of the unit shape, enough to bound it."""
    if kind in (ELLIPSOID, DOME):
        return _unit_mesh(kind, (1.0, 1.0), 12)[0]
    corners = _unit_mesh(kind, (1.0, 1.0), 12)[0]
    wide = np.where(corners[:, 1:2] > 0, (taper[0], 1.0, taper[1]), 1.0)
    return corners * wide


def _revolve(profile: list[tuple[float, float]], segments: int) -> tuple[np.ndarray, np.ndarray]:
    """Turn (radius, height) pairs, bottom to top, first and last on the axis, into a closed mesh."""
    ring = 2 * np.pi * np.arange(segments) / segments
    inner = [(r, y) for r, y in profile[1:-1] if r > 1e-6]
    vertices = [(0.0, profile[0][1], 0.0)]
    for radius, height in inner:
        vertices += [(radius * np.sin(a), height, radius * np.cos(a)) for a in ring]
    vertices.append((0.0, profile[-1][1], 0.0))
    top, faces = len(vertices) - 1, []
    for i in range(segments):
        j = (i + 1) % segments
        faces.append((0, 1 + j, 1 + i))
        for row in range(len(inner) - 1):
            low, high = 1 + row * segments, 1 + (row + 1) * segments
            faces += [(low + i, low + j, high + j), (low + i, high + j, high + i)]
        last = 1 + (len(inner) - 1) * segments
        faces.append((last + i, last + j, top))
    return np.array(vertices), np.array(faces, dtype=np.int64)


def _block_mesh(taper: tuple[float, float]) -> tuple[np.ndarray, np.ndarray]:
    tx, tz = (max(value, 1e-3) for value in taper)
    vertices = np.array(
        [(-1, -1, -1), (1, -1, -1), (1, -1, 1), (-1, -1, 1), (-tx, 1, -tz), (tx, 1, -tz), (tx, 1, tz), (-tx, 1, tz)], float
    )
    quads = [(0, 1, 2, 3), (7, 6, 5, 4), (3, 2, 6, 7), (1, 0, 4, 5), (2, 1, 5, 6), (0, 3, 7, 4)]
    faces = [tri for a, b, c, d in quads for tri in ((a, b, c), (a, c, d))]
    return vertices, np.array(faces, dtype=np.int64)
