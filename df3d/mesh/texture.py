"""A mesh gets textures: an atlas from xatlas; albedo and finer normals baked into it, islands padded for mip-mapping."""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import torch
import xatlas
from scipy import ndimage
from scipy.spatial import cKDTree

from df3d.mesh.cleanup import vertex_normals
from df3d.mesh.surface import device_of
from df3d.protocols import Surface, Volume
from df3d.system.cpu import kernel, split
from df3d.types import Mesh, SurfaceMesh

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
    time.sleep(0.1)  # its destructor waits for ever for a thread that is just going to sleep: let them all be asleep
    return dataclasses.replace(
        mesh, vertices=mesh.vertices[origin], faces=faces.astype(np.int64), normals=normals, uvs=(uvs * scale).astype(np.float32)
    )


@torch.no_grad()
def bake(mesh: Mesh, field: Volume | Surface, *, size: int) -> np.ndarray:
    """(size, size, 3) float32 albedo in [0, 1], rows from the top: the field asked at the surface point of each texel."""
    covered, points = _at_texels(mesh, mesh.vertices[mesh.faces], size)
    asked = torch.from_numpy(points).to(device_of(field))
    return _filled(covered, torch.cat([field.albedo(part) for part in asked.split(2**17)]).cpu().numpy())


@torch.no_grad()
def with_padding(surface: SurfaceMesh) -> tuple[Mesh, np.ndarray]:
    """A textured surface as a mesh, smooth across the seams of its atlas, and its texture, padded anew."""
    assert surface.uvs is not None
    assert surface.texture is not None
    parts = (surface.vertices, surface.faces, surface.uvs, surface.texture)
    vertices, faces, uvs, image = (part.cpu().numpy() for part in parts)
    _, first, same = np.unique(vertices, axis=0, return_index=True, return_inverse=True)
    same = same.reshape(-1)
    mesh = Mesh(vertices, faces, normals=vertex_normals(vertices[first], same[faces])[same], uvs=uvs)
    covered, _ = _at_texels(mesh, vertices[faces], len(image))
    return mesh, _filled(covered, image[covered])


def tangents(mesh: Mesh) -> np.ndarray:
    """(P, 4) float32 as in glTF 2.0, section 3.7.2.1: unit vectors along u, across the normals, and the side of the bitangent.

    A vertex has the mean of its faces', weighted by their area.
    """
    assert mesh.uvs is not None
    assert mesh.normals is not None
    corners, uvs = mesh.vertices[mesh.faces].astype(np.float64), mesh.uvs[mesh.faces].astype(np.float64)
    edges, sides = corners[:, 1:] - corners[:, :1], uvs[:, 1:] - uvs[:, :1]
    turn = np.sign(np.linalg.det(sides))[:, None]  # -1 where the texture is mirrored
    along_u = _unit((sides[:, 1, 1, None] * edges[:, 0] - sides[:, 0, 1, None] * edges[:, 1]) * turn)
    area = np.linalg.norm(np.cross(edges[:, 0], edges[:, 1]), axis=1, keepdims=True)
    summed = np.zeros((len(mesh.vertices), 4))
    for corner in range(3):
        np.add.at(summed, mesh.faces[:, corner], np.concatenate([along_u, turn], axis=1) * area)
    across = summed[:, :3] - mesh.normals * (mesh.normals * summed[:, :3]).sum(1, keepdims=True)
    lost = np.linalg.norm(across, axis=1) < 1e-12
    across[lost] = np.cross(mesh.normals[lost], np.eye(3)[np.abs(mesh.normals[lost]).argmin(1)])
    return np.concatenate([_unit(across), np.where(summed[:, 3:] < 0, -1.0, 1.0)], axis=1).astype(np.float32)


def bake_normals(mesh: Mesh, detailed: Mesh, *, size: int) -> np.ndarray:
    """(size, size, 3) float32 normal map in [0, 1] (glTF 2.0, section 3.9.3) for the mesh's tangents, rows from the top.

    The normals are those of the finer mesh `detailed`, around the point nearest to each texel.
    """
    assert mesh.normals is not None
    assert mesh.tangents is not None
    assert detailed.normals is not None
    frames = np.concatenate([mesh.vertices, mesh.normals, mesh.tangents], axis=1)
    covered, found = _at_texels(mesh, frames[mesh.faces], size)
    points, normal, tangent, side = np.split(found, [3, 6, 9], axis=1)
    distance, near = cKDTree(detailed.vertices).query(points, k=3)
    wanted = _unit((detailed.normals[near] / np.maximum(distance, 1e-9)[..., None]).sum(1))
    normal, tangent = _unit(normal), _unit(tangent)
    bitangent = np.cross(normal, tangent) * np.sign(side)
    mapped = np.stack([(wanted * axis).sum(1) for axis in (tangent, bitangent, normal)], axis=1)
    mapped[:, 2] = np.maximum(mapped[:, 2], 0.0)  # a map cannot turn a surface away
    return _filled(covered, 0.5 + 0.5 * _unit(mapped))


def _unit(vectors: np.ndarray) -> np.ndarray:
    unit: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-20)
    return unit


def _at_texels(mesh: Mesh, attributes: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Which texels (size, size) have a surface under their centre, and the attributes (F, 3, A) of corners there, (N, A)."""
    assert mesh.uvs is not None
    values = np.full((size, size, attributes.shape[2]), np.nan, np.float32)
    corners = mesh.uvs[mesh.faces] * size
    corners[..., 1] = size - corners[..., 1]
    split(size, lambda start, stop: _rasterise(corners, attributes, values, start, stop))
    covered = np.isfinite(values[..., 0])
    return covered, values[covered]


def _filled(covered: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(T, T, 3) float32 with values (N, 3) where covered (T, T), and everywhere else the nearest of these."""
    image = np.zeros((*covered.shape, 3), np.float32)
    image[covered] = values
    nearest = ndimage.distance_transform_edt(~covered, return_distances=False, return_indices=True)
    filled: np.ndarray = image[tuple(nearest)]
    return filled


@kernel
def _rasterise(corners, attributes, values, start, stop):  # type: ignore[no-untyped-def]
    """Fill rows start to stop of `values` with the attributes of the surface under each texel centre."""
    size = values.shape[0]
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
                for k in range(attributes.shape[2]):
                    values[row, col, k] = (1.0 - u - v) * attributes[f, 0, k] + u * attributes[f, 1, k] + v * attributes[f, 2, k]
