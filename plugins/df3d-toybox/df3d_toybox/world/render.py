"""Pictures of the world: exact ray casting of convex solids under a head light, on the CPU.

A surface with unit normal n, seen along the unit direction d, has the colour albedo * (AMBIENT + DIFFUSE * max(0, -n.d)),
over a plain grey background. The toybox recipe shades its NeRF in the same way.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from df3d_prior.raster import AMBIENT, BACKGROUND, DIFFUSE, FOV_Y

from df3d.system.cpu import kernel, split
from df3d_toybox.world.shapes import DOME, ELLIPSOID, FRUSTUM, Solid


@dataclass(frozen=True)
class Scene:
    """Solids packed for the kernel: one row each."""

    kind: np.ndarray  # (P,)
    center: np.ndarray  # (P, 3)
    axes: np.ndarray  # (P, 3, 3)
    inverse: np.ndarray  # (P, 3, 3)
    look: np.ndarray  # (P, 5) red, green, blue, taper x, taper z


def pack(solids: list[Solid]) -> Scene:
    axes = np.stack([s.axes for s in solids]).astype(np.float32)
    return Scene(
        kind=np.array([s.kind for s in solids], np.int64),
        center=np.stack([s.center for s in solids]).astype(np.float32),
        axes=axes,
        inverse=np.linalg.inv(axes).astype(np.float32),
        look=np.array([(*s.color, *s.taper) for s in solids], np.float32),
    )


def render(scenes: list[Scene], poses: np.ndarray, *, size: int = 64, samples: int = 2, fov_y: float = FOV_Y) -> np.ndarray:
    """Draw scene i from pose i.

    poses (V, 4, 4) camera to world; returns (V, size, size, 4) float32: sRGB over the background, and coverage,
    both averaged over `samples` x `samples` points a pixel.
    """
    images = np.empty((len(scenes), size, size, 4), np.float32)
    half = math.tan(math.radians(fov_y) / 2)

    def draw(start: int, stop: int) -> None:
        for i in range(start, stop):
            s = scenes[i]
            pose = np.ascontiguousarray(poses[i], dtype=np.float32)
            _draw(s.kind, s.center, s.axes, s.inverse, s.look, pose, half, samples, images[i])

    split(len(scenes), draw)
    return images


@kernel
def _draw(kind, center, axes, inverse, look, pose, half, samples, image):
    size = image.shape[0]
    n = size * samples
    depth = np.full((n, n), np.float32(1e30))
    color = np.full((n, n, 4), np.float32(BACKGROUND))
    color[:, :, 3] = 0.0
    eye = pose[:3, 3]
    pixel = np.float32(2.0 * half / n)
    for p in range(kind.shape[0]):
        rel = center[p] - eye
        x0, x1, y0, y1 = _rectangle(rel, axes[p], max(np.float32(1.0), look[p, 3], look[p, 4]), pose, half, pixel, n)
        m = inverse[p]
        ox = -(m[0, 0] * rel[0] + m[0, 1] * rel[1] + m[0, 2] * rel[2])
        oy = -(m[1, 0] * rel[0] + m[1, 1] * rel[1] + m[1, 2] * rel[2])
        oz = -(m[2, 0] * rel[0] + m[2, 1] * rel[1] + m[2, 2] * rel[2])
        for row in range(y0, y1):
            v = half - (row + 0.5) * pixel
            for col in range(x0, x1):
                u = (col + 0.5) * pixel - half
                wx = u * pose[0, 0] + v * pose[0, 1] - pose[0, 2]
                wy = u * pose[1, 0] + v * pose[1, 1] - pose[1, 2]
                wz = u * pose[2, 0] + v * pose[2, 1] - pose[2, 2]
                dx = m[0, 0] * wx + m[0, 1] * wy + m[0, 2] * wz
                dy = m[1, 0] * wx + m[1, 1] * wy + m[1, 2] * wz
                dz = m[2, 0] * wx + m[2, 1] * wy + m[2, 2] * wz
                t, nx, ny, nz = _hit(kind[p], ox, oy, oz, dx, dy, dz, look[p, 3], look[p, 4])
                if t < depth[row, col]:
                    depth[row, col] = t
                    # normals go to the world by the inverse transpose
                    gx = m[0, 0] * nx + m[1, 0] * ny + m[2, 0] * nz
                    gy = m[0, 1] * nx + m[1, 1] * ny + m[2, 1] * nz
                    gz = m[0, 2] * nx + m[1, 2] * ny + m[2, 2] * nz
                    facing = -(gx * wx + gy * wy + gz * wz)
                    facing /= math.sqrt((gx * gx + gy * gy + gz * gz) * (wx * wx + wy * wy + wz * wz)) + 1e-12
                    shade = AMBIENT + DIFFUSE * max(facing, 0.0)
                    for c in range(3):
                        color[row, col, c] = look[p, c] * shade
                    color[row, col, 3] = 1.0
    scale = 1.0 / (samples * samples)
    for row in range(size):
        for col in range(size):
            for c in range(4):
                total = 0.0
                for i in range(samples):
                    for j in range(samples):
                        total += color[row * samples + i, col * samples + j, c]
                image[row, col, c] = total * scale


@kernel
def _rectangle(rel, axes, wide, pose, half, pixel, n):
    """The columns [x0, x1) and rows [y0, y1) that a solid's box covers: the whole picture where it reaches the eye."""
    left, right, low, high = 1e30, -1e30, 1e30, -1e30
    for corner in range(8):
        x = wide if corner & 1 else -wide
        y = 1.0 if corner & 2 else -1.0
        z = wide if corner & 4 else -wide
        px = rel[0] + axes[0, 0] * x + axes[0, 1] * y + axes[0, 2] * z
        py = rel[1] + axes[1, 0] * x + axes[1, 1] * y + axes[1, 2] * z
        pz = rel[2] + axes[2, 0] * x + axes[2, 1] * y + axes[2, 2] * z
        ahead = -(px * pose[0, 2] + py * pose[1, 2] + pz * pose[2, 2])
        if ahead < 0.05:
            return 0, n, 0, n
        u = (px * pose[0, 0] + py * pose[1, 0] + pz * pose[2, 0]) / ahead
        v = (px * pose[0, 1] + py * pose[1, 1] + pz * pose[2, 1]) / ahead
        left, right, low, high = min(left, u), max(right, u), min(low, v), max(high, v)
    x0, x1 = math.floor((left + half) / pixel), math.ceil((right + half) / pixel) + 1
    y0, y1 = math.floor((half - high) / pixel), math.ceil((half - low) / pixel) + 1
    return max(0, x0), min(n, x1), max(0, y0), min(n, y1)


@kernel
def _hit(kind, ox, oy, oz, dx, dy, dz, taper_x, taper_z):
    """Where a ray enters a unit shape: distance (1e31 for a miss) and the outward normal there, in unit space."""
    miss = 1e31
    if kind in (ELLIPSOID, DOME):
        a = dx * dx + dy * dy + dz * dz
        b = ox * dx + oy * dy + oz * dz
        disc = b * b - a * (ox * ox + oy * oy + oz * oz - 1.0)
        if disc < 0.0:
            return miss, 0.0, 0.0, 0.0
        root = math.sqrt(disc)
        t = (-b - root) / a
        if kind == DOME and (t <= 0.0 or oy + t * dy < 0.0):
            if dy <= 0.0:
                return miss, 0.0, 0.0, 0.0
            t = -oy / dy  # through the flat bottom
            x, z = ox + t * dx, oz + t * dz
            if t <= 0.0 or x * x + z * z > 1.0:
                return miss, 0.0, 0.0, 0.0
            return t, 0.0, -1.0, 0.0
        if t <= 0.0:
            return miss, 0.0, 0.0, 0.0
        return t, ox + t * dx, oy + t * dy, oz + t * dz
    if kind == FRUSTUM:  # x2 + z2 = (p + q y)2, y in [-1, 1]
        q = 0.5 * (taper_x - 1.0)
        p = 1.0 + q
        ro, rd = p + q * oy, q * dy
        a = dx * dx + dz * dz - rd * rd
        b = ox * dx + oz * dz - ro * rd
        c = ox * ox + oz * oz - ro * ro
        best, nx, ny, nz = miss, 0.0, 0.0, 0.0
        disc = b * b - a * c
        if disc >= 0.0 and abs(a) > 1e-12:
            root = math.sqrt(disc)
            for sign in (-1.0, 1.0):
                t = (-b + sign * root) / a
                y = oy + t * dy
                if 0.0 < t < best and abs(y) <= 1.0 and ro + t * rd >= 0.0:
                    best = t
                    nx, ny, nz = ox + t * dx, -q * (p + q * y), oz + t * dz
        if abs(dy) > 1e-12:
            for side in (-1.0, 1.0):
                t = (side - oy) / dy
                radius = p + q * side
                x, z = ox + t * dx, oz + t * dz
                if 0.0 < t < best and x * x + z * z <= radius * radius:
                    best = t
                    nx, ny, nz = 0.0, side, 0.0
        return best, nx, ny, nz
    # a block: six planes n.x <= h
    qx, qz = 0.5 * (taper_x - 1.0), 0.5 * (taper_z - 1.0)
    enter, leave = 0.0, miss
    nx, ny, nz = 0.0, 0.0, 0.0
    for plane in range(6):
        sign = 1.0 if plane % 2 else -1.0
        ax, ay, az, h = 0.0, 0.0, 0.0, 1.0
        if plane < 2:
            ax, ay, h = sign, -qx, 1.0 + qx
        elif plane < 4:
            ay = sign
        else:
            az, ay, h = sign, -qz, 1.0 + qz
        o = ax * ox + ay * oy + az * oz - h
        d = ax * dx + ay * dy + az * dz
        if abs(d) < 1e-12:
            if o > 0.0:
                return miss, 0.0, 0.0, 0.0
            continue
        t = -o / d
        if d < 0.0:
            if t > enter:
                enter, nx, ny, nz = t, ax, ay, az
        elif t < leave:
            leave = t
    if enter >= leave or enter <= 0.0:
        return miss, 0.0, 0.0, 0.0
    return enter, nx, ny, nz
