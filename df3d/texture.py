"""A mesh gets a texture: an atlas from xatlas, the field's albedo baked into it, islands padded for mip-mapping."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
import xatlas
from scipy import ndimage

from df3d.cpu import kernel, split
from df3d.interfaces import Field
from df3d.surface import device_of
from df3d.types import Mesh

PADDING = 8  # pixels between islands, all of them filled


def unwrap(mesh: Mesh, *, size: int) -> Mesh:
    """The mesh with an atlas for a texture of `size` pixels: vertices on seams are doubled, normals kept across them."""
    atlas = xatlas.Atlas()
    atlas.add_mesh(mesh.vertices, mesh.faces.astype(np.uint32), mesh.normals)
    options = xatlas.PackOptions()
    options.padding, options.resolution, options.bilinear = PADDING, size, True
    atlas.generate(pack_options=options)
    origin, faces, uvs = atlas[0]
    normals = None if mesh.normals is None else mesh.normals[origin]
    scale = np.array([atlas.width, atlas.height], np.float32) / max(atlas.width, atlas.height)
    return dataclasses.replace(
        mesh, vertices=mesh.vertices[origin], faces=faces.astype(np.int64), normals=normals, uvs=(uvs * scale).astype(np.float32)
    )


@torch.no_grad()
def bake(mesh: Mesh, field: Field, *, size: int) -> np.ndarray:
    """(size, size, 3) float32 albedo in [0, 1], rows from the top: the field asked at the surface point of each texel."""
    assert mesh.uvs is not None
    points = np.full((size, size, 3), np.nan, np.float32)
    corners = mesh.uvs[mesh.faces] * size
    corners[..., 1] = size - corners[..., 1]
    positions = mesh.vertices[mesh.faces]
    split(size, lambda start, stop: _rasterise(corners, positions, points, start, stop))
    covered = np.isfinite(points[..., 0])
    device = device_of(field)
    image = np.zeros((size, size, 3), np.float32)
    asked = torch.from_numpy(points[covered]).to(device)
    image[covered] = torch.cat([field.albedo(part) for part in asked.split(2**17)]).cpu().numpy()
    nearest = ndimage.distance_transform_edt(~covered, return_distances=False, return_indices=True)
    filled: np.ndarray = image[tuple(nearest)]
    return filled


@kernel
def _rasterise(corners, positions, points, start, stop):  # type: ignore[no-untyped-def]
    """Fill rows start to stop of `points` with the surface point under each texel centre."""
    size = points.shape[0]
    for f in range(corners.shape[0]):
        ax, ay, bx, by, cx, cy = (
            corners[f, 0, 0], corners[f, 0, 1], corners[f, 1, 0], corners[f, 1, 1], corners[f, 2, 0], corners[f, 2, 1],
        )  # fmt: skip
        area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
        if abs(area) < 1e-12:
            continue
        low, high = min(ay, by, cy), max(ay, by, cy)
        for row in range(max(start, int(low - 1.0)), min(stop, int(high + 1.0) + 1)):
            y = row + 0.5
            for col in range(max(0, int(min(ax, bx, cx) - 1.0)), min(size, int(max(ax, bx, cx) + 1.0) + 1)):
                x = col + 0.5
                u = ((x - ax) * (cy - ay) - (cx - ax) * (y - ay)) / area
                v = ((bx - ax) * (y - ay) - (x - ax) * (by - ay)) / area
                if u < 0.0 or v < 0.0 or u + v > 1.0:
                    continue
                for axis in range(3):
                    points[row, col, axis] = (
                        (1.0 - u - v) * positions[f, 0, axis] + u * positions[f, 1, axis] + v * positions[f, 2, axis]
                    )
