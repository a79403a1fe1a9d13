"""Pictures of objects for training: triangles with a depth buffer under a head light, on the CPU.

A surface with unit normal n, seen along the unit direction d, has the colour albedo * (AMBIENT + DIFFUSE * |n.d|) over a
plain grey background, as the recipe shades its field.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from df3d.system.cpu import kernel, split

if TYPE_CHECKING:
    from df3d_prior.objects import Object

AMBIENT, DIFFUSE, BACKGROUND = 0.5, 0.5, 0.5
DISTANCE, FOV_Y = 3.0, 35.0  # the camera of every picture the model is trained on
LEVEL = 0.85  # least vertical part of a normal of what is level


def render(objects: list[Object], poses: np.ndarray, *, size: int = 64, samples: int = 2, lit: bool = True) -> np.ndarray:
    """Draw object i from pose i, under the head light or, not `lit`, in its bare colours.

    poses (V, 4, 4) camera to world; returns (V, size, size, 4) float32: sRGB over the background, and coverage,
    both averaged over `samples` x `samples` points a pixel.
    """
    images = np.empty((len(objects), size, size, 4), np.float32)
    half = math.tan(math.radians(FOV_Y) / 2)

    def draw(start: int, stop: int) -> None:
        for i in range(start, stop):
            one = objects[i]
            texels, starts, shapes = one.texels
            pose = np.ascontiguousarray(poses[i], dtype=np.float32)
            _draw(one.corners, one.paint, one.places, one.textures, texels, starts, shapes, pose, half, samples, lit, images[i])

    split(len(objects), draw)
    return images


def render_each(objects: list[Object], poses: np.ndarray, *, size: int, samples: int = 2, lit: bool = True) -> np.ndarray:
    """(N, V, size, size, 4): every object from every pose (V, 4, 4), as `render` draws one."""
    seen = [one for one in objects for _ in poses]
    drawn = render(seen, np.tile(poses, (len(objects), 1, 1)), size=size, samples=samples, lit=lit)
    return drawn.reshape(len(objects), len(poses), size, size, 4)


@kernel
def _draw(corners, paint, places, textures, texels, starts, shapes, pose, half, samples, lit, image):  # type: ignore[no-untyped-def]
    size = image.shape[0]
    n = size * samples
    depth = np.zeros((n, n), np.float32)  # 1 / distance ahead; larger is nearer
    owner = np.full((n, n), -1, np.int32)
    color = np.full((n, n, 4), np.float32(BACKGROUND))
    color[:, :, 3] = 0.0
    sx, sy, sw = np.empty(3, np.float32), np.empty(3, np.float32), np.empty(3, np.float32)
    scale = np.float32(0.5 * n / half)
    for f in range(corners.shape[0]):
        for k in range(3):
            px, py, pz = corners[f, k, 0] - pose[0, 3], corners[f, k, 1] - pose[1, 3], corners[f, k, 2] - pose[2, 3]
            ahead = -(px * pose[0, 2] + py * pose[1, 2] + pz * pose[2, 2])
            sw[k] = 1.0 / max(ahead, np.float32(0.05))
            sx[k] = 0.5 * n + scale * (px * pose[0, 0] + py * pose[1, 0] + pz * pose[2, 0]) * sw[k]
            sy[k] = 0.5 * n - scale * (px * pose[0, 1] + py * pose[1, 1] + pz * pose[2, 1]) * sw[k]
        area = (sx[1] - sx[0]) * (sy[2] - sy[0]) - (sx[2] - sx[0]) * (sy[1] - sy[0])
        if abs(area) < 1e-9:
            continue
        x0, x1 = max(0, math.ceil(min(sx[0], sx[1], sx[2]) - 0.5)), min(n - 1, math.floor(max(sx[0], sx[1], sx[2]) - 0.5))
        y0, y1 = max(0, math.ceil(min(sy[0], sy[1], sy[2]) - 0.5)), min(n - 1, math.floor(max(sy[0], sy[1], sy[2]) - 0.5))
        inverse = np.float32(1.0) / area
        for row in range(y0, y1 + 1):
            y = row + np.float32(0.5)
            for col in range(x0, x1 + 1):
                x = col + np.float32(0.5)
                b = ((x - sx[0]) * (sy[2] - sy[0]) - (sx[2] - sx[0]) * (y - sy[0])) * inverse
                c = ((sx[1] - sx[0]) * (y - sy[0]) - (x - sx[0]) * (sy[1] - sy[0])) * inverse
                a = np.float32(1.0) - b - c
                if a < 0 or b < 0 or c < 0:
                    continue
                w = a * sw[0] + b * sw[1] + c * sw[2]
                if w > depth[row, col]:
                    depth[row, col] = w
                    owner[row, col] = f
                    color[row, col, 0] = b * sw[1] / w
                    color[row, col, 1] = c * sw[2] / w
    for row in range(n):
        for col in range(n):
            f = owner[row, col]
            if f >= 0:
                b, c = color[row, col, 0], color[row, col, 1]
                a, pixel = 1 - b - c, color[row, col]
                light = _light(corners[f], pose, a, b, c) if lit else np.float32(1.0)
                _shade(paint[f], places[f], textures[f], texels, starts, shapes, light, a, b, c, pixel)
    share = np.float32(1.0 / (samples * samples))
    for row in range(size):
        for col in range(size):
            for k in range(4):
                total = np.float32(0.0)
                for i in range(samples):
                    for j in range(samples):
                        total += color[row * samples + i, col * samples + j, k]
                image[row, col, k] = total * share


@kernel
def _light(corners, pose, a, b, c):  # type: ignore[no-untyped-def]
    """How light a triangle is at a place, by its weights (a, b, c)."""
    e, g = corners[1] - corners[0], corners[2] - corners[0]
    nx, ny, nz = e[1] * g[2] - e[2] * g[1], e[2] * g[0] - e[0] * g[2], e[0] * g[1] - e[1] * g[0]
    facing, along = 0.0, 0.0
    for k in range(3):
        d = a * corners[0, k] + b * corners[1, k] + c * corners[2, k] - pose[k, 3]
        facing += d * (nx if k == 0 else ny if k == 1 else nz)
        along += d * d
    facing = abs(facing) / math.sqrt(max((nx * nx + ny * ny + nz * nz) * along, 1e-30))
    return np.float32(AMBIENT + DIFFUSE * facing)


@kernel
def _shade(paint, places, texture, texels, starts, shapes, light, a, b, c, pixel):  # type: ignore[no-untyped-def]
    """The colour of a triangle at a place, by its weights (a, b, c), into `pixel` (4,)."""
    at = -1
    if texture >= 0:
        height, width = shapes[texture, 0], shapes[texture, 1]
        u = a * places[0, 0] + b * places[1, 0] + c * places[2, 0]
        v = a * places[0, 1] + b * places[1, 1] + c * places[2, 1]
        x = min(int((u - math.floor(u)) * width), width - 1)
        y = min(int((v - math.floor(v)) * height), height - 1)
        at = starts[texture] + y * width + x
    for k in range(3):
        value = a * paint[0, k] + b * paint[1, k] + c * paint[2, k]
        if at >= 0:
            value *= texels[at, k]
        pixel[k] = value * light
    pixel[3] = 1.0


@kernel
def heights(corners, x, z, heights, level):  # type: ignore[no-untyped-def]
    """The topmost surface over places x (N,) by z (M,): its height (N, M) into `heights`, and whether it is level there."""
    for f in range(corners.shape[0]):
        p, q, r = corners[f, 0], corners[f, 1], corners[f, 2]
        area = (q[0] - p[0]) * (r[2] - p[2]) - (r[0] - p[0]) * (q[2] - p[2])
        if abs(area) < 1e-12:
            continue
        e, g = q - p, r - p
        nx, ny, nz = e[1] * g[2] - e[2] * g[1], e[2] * g[0] - e[0] * g[2], e[0] * g[1] - e[1] * g[0]
        flat = abs(ny) > LEVEL * math.sqrt(nx * nx + ny * ny + nz * nz)
        low_x, high_x = min(p[0], q[0], r[0]), max(p[0], q[0], r[0])
        for i in range(len(x)):
            if x[i] < low_x or x[i] > high_x:
                continue
            for j in range(len(z)):
                u = ((x[i] - p[0]) * (r[2] - p[2]) - (r[0] - p[0]) * (z[j] - p[2])) / area
                v = ((q[0] - p[0]) * (z[j] - p[2]) - (x[i] - p[0]) * (q[2] - p[2])) / area
                if u >= 0 and v >= 0 and u + v <= 1:
                    height = p[1] + u * e[1] + v * g[1]
                    if height > heights[i, j]:
                        heights[i, j], level[i, j] = height, flat
