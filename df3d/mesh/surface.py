"""A field's surface as a mesh: its own, or marching cubes at a level that is found."""

from __future__ import annotations

import numpy as np
import torch
from skimage import measure

from df3d.errors import EmptyFieldError
from df3d.protocols import Field, Surface, Volume
from df3d.types import Mesh, SurfaceMesh

_EMPTY = "start anew (--fresh) with more steps or a weaker opacity penalty"


@torch.no_grad()
def own_surface(field: Field) -> SurfaceMesh | None:
    """The surface that a field has; None of a volume."""
    return field.surface() if isinstance(field, Surface) else None


@torch.no_grad()
def mesh_of(field: Field | SurfaceMesh, *, resolution: int, threshold: float | None = None) -> Mesh:
    """The mesh of any field, or of a surface that it had: a surface field has its own, a volume is `extract`ed.

    Raises EmptyFieldError when there is none.
    """
    if isinstance(field, Volume):
        return extract(field, resolution=resolution, threshold=threshold)
    found = field if isinstance(field, SurfaceMesh) else own_surface(field)
    assert found is not None
    return Mesh(found.vertices.cpu().numpy(), found.faces.cpu().numpy())


def extract(field: Volume, *, resolution: int, threshold: float | None = None) -> Mesh:
    """A closed mesh of the surface where the density is `threshold` (per world unit), or the level `find_level` picks.

    `resolution` is the number of cells along each axis of the cube around the unit ball.
    Raises EmptyFieldError when there is no such surface.
    """
    density = sample(field, resolution)
    densest = float(density.max())
    if not np.isfinite(densest):
        raise EmptyFieldError(
            "the field is not a number in places: the optimisation diverged", "start anew (--fresh) with a lower learning rate"
        )
    level = find_level(density, 2 / resolution) if threshold is None else threshold
    if densest <= level:
        raise EmptyFieldError(f"the field is empty: its densest point has {densest:.3g}, the surface needs {level:.3g}", _EMPTY)
    vertices, faces, _, _ = measure.marching_cubes(np.pad(density, 1), level, gradient_direction="ascent")
    return Mesh(((vertices - 0.5) * (2 / resolution) - 1).astype(np.float32), faces.astype(np.int64))


@torch.no_grad()
def sample(field: Volume, resolution: int) -> np.ndarray:
    """(R, R, R) densities at cell centres, indexed x, y, z; 0 outside the unit ball."""
    axis = (np.arange(resolution) + 0.5) * (2 / resolution) - 1
    device = device_of(field)
    density = np.zeros((resolution,) * 3, np.float32)
    y, z = np.meshgrid(axis, axis, indexing="ij")
    for i, x in enumerate(axis):
        inside = x * x + y * y + z * z < 1
        points = np.stack([np.full(inside.sum(), x), y[inside], z[inside]], axis=1).astype(np.float32)
        if len(points):
            density[i][inside] = field.density(torch.from_numpy(points).to(device)).cpu().numpy()
    return density


def device_of(field: Field) -> torch.device:
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
