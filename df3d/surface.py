"""The surface of a density field: marching cubes at a level that is found, then clean-up and simplification."""

from __future__ import annotations

import fast_simplification
import numpy as np
import torch
from scipy import sparse
from skimage import measure

from df3d.errors import EmptyFieldError
from df3d.interfaces import Volume
from df3d.types import Mesh

_EMPTY = "train for more steps, or make the opacity penalty weaker"


def extract(field: Volume, *, resolution: int, threshold: float | None = None) -> Mesh:
    """A closed mesh of the surface where the density is `threshold` (per world unit), or the level `find_level` picks.

    `resolution` is the number of cells along each axis of the cube around the unit ball.
    Raises EmptyFieldError when there is no such surface.
    """
    density = sample(field, resolution)
    densest = float(density.max())
    if not np.isfinite(densest):
        raise EmptyFieldError("the field is not a number in places: the optimisation diverged", "try a lower learning rate")
    level = find_level(density, 2 * field.bound / resolution) if threshold is None else threshold
    if densest <= level:
        raise EmptyFieldError(f"the field is empty: its densest point has {densest:.3g}, the surface needs {level:.3g}", _EMPTY)
    vertices, faces, _, _ = measure.marching_cubes(np.pad(density, 1), level, gradient_direction="ascent")
    axis = 2 * field.bound / resolution
    return Mesh(((vertices - 0.5) * axis - field.bound).astype(np.float32), faces.astype(np.int64))


@torch.no_grad()
def sample(field: Volume, resolution: int) -> np.ndarray:
    """(R, R, R) densities at cell centres, indexed x, y, z; 0 outside the ball of radius `bound`."""
    axis = (np.arange(resolution) + 0.5) * (2 * field.bound / resolution) - field.bound
    device = device_of(field)
    density = np.zeros((resolution,) * 3, np.float32)
    y, z = np.meshgrid(axis, axis, indexing="ij")
    for i, x in enumerate(axis):
        inside = x * x + y * y + z * z < field.bound**2
        points = np.stack([np.full(inside.sum(), x), y[inside], z[inside]], axis=1).astype(np.float32)
        if len(points):
            density[i][inside] = field.density(torch.from_numpy(points).to(device)).cpu().numpy()
    return density


def device_of(field: Volume) -> torch.device:
    """Where a field computes."""
    return next(iter(field.state_dict().values())).device


def find_level(density: np.ndarray, cell: float) -> float:
    """The density level whose solid looks most like the volume.

    Seen along each axis, the volume covers an area of sum(1 - exp(-optical depth)); the level is the one whose solid
    covers the same. Raises EmptyFieldError when the volume covers almost nothing.
    """
    covered, highest = [], []
    for axis in range(3):
        covered.append(float((1 - np.exp(-density.sum(axis) * cell)).sum()))
        highest.append(density.max(axis))
    if not sum(covered) > 12:  # a dozen pixels over the three views
        raise EmptyFieldError(f"the field is empty: its densest point has {float(density.max()):.3g}", _EMPTY)
    levels = np.geomspace(0.05 / cell / 100, max(float(density.max()), 1e-3), 200)
    errors = [sum(abs(float((top > level).sum()) - area) for top, area in zip(highest, covered, strict=True)) for level in levels]
    return float(levels[int(np.argmin(errors))])


def clean(mesh: Mesh, *, keep: float, faces: int) -> Mesh:
    """Drop loose pieces with fewer than `keep` of the largest piece's faces, simplify to `faces`, add smooth normals."""
    vertices, triangles = _without_floaters(mesh.vertices, mesh.faces, keep)
    if faces and len(triangles) > faces:
        vertices, triangles = fast_simplification.simplify(
            vertices.astype(np.float32), triangles.astype(np.int32), target_count=faces
        )
    vertices, triangles = _without_degenerate(np.asarray(vertices, np.float32), np.asarray(triangles, np.int64))
    return Mesh(vertices, triangles, normals=vertex_normals(vertices, triangles))


def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """(P, 3) unit normals, faces weighted by their area; +Y where a vertex has none."""
    corners = vertices[faces].astype(np.float64)
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros((len(vertices), 3))
    for corner in range(3):
        np.add.at(normals, faces[:, corner], area)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(length > 1e-20, normals / np.maximum(length, 1e-20), (0.0, 1.0, 0.0)).astype(np.float32)


def _without_floaters(vertices: np.ndarray, faces: np.ndarray, keep: float) -> tuple[np.ndarray, np.ndarray]:
    ones = np.ones(len(faces) * 2)
    edges = np.concatenate([faces[:, :2], faces[:, 1:]])
    graph = sparse.coo_matrix((ones, (edges[:, 0], edges[:, 1])), shape=(len(vertices),) * 2)
    _, piece = sparse.csgraph.connected_components(graph, directed=False)
    piece_of_face = piece[faces[:, 0]]
    sizes = np.bincount(piece_of_face, minlength=piece.max() + 1)
    return _compact(vertices, faces[sizes[piece_of_face] >= keep * sizes.max()])


def _without_degenerate(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    corners = vertices[faces].astype(np.float64)
    area = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]), axis=1)
    return _compact(vertices, faces[area > 1e-12])


def _compact(vertices: np.ndarray, faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    used, faces = np.unique(faces, return_inverse=True)
    return vertices[used], faces.reshape(-1, 3)
