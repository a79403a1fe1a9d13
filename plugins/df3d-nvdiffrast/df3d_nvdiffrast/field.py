"""A surface field: signed distances on a deformable tetrahedral grid, and albedo from a hash grid."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from df3d_hashgrid.encoding import make, note
from scipy import ndimage, optimize
from torch import Tensor, nn

from df3d.errors import EmptyFieldError
from df3d.mesh import surface
from df3d.protocols import Volume
from df3d.schedule import Step
from df3d.types import SurfaceMesh
from df3d_nvdiffrast.config import TetsConfig
from df3d_nvdiffrast.marching import march, slopes

SMALLEST = 8  # grid cells that a solid must have
LADDER = 8  # times that the density level is halved to find one
FIT_POINTS = 8192
NEAR = 1.5  # cells from the surface
SPREAD = 1.2  # of the blur that takes the bumps from it, in cells of half the size


class TetsField(nn.Module):
    """A closed surface in the cube [-1, 1]^3 (DMTet, arXiv 2111.04276; as the second stage of Magic3D, 2211.10440).

    Signed distances (R + 1)^3, world units, negative inside, are those at the start and a `change`, blurred over the grid:
    without that, single views tear a surface to shreds (the same remedy as in arXiv 2206.01305, for grids). `offsets` move
    the grid's corners, at most 0.45 of a cell along each axis; beyond a sixth of one, a tetrahedron can turn over.
    """

    grid: Tensor
    rim: Tensor
    start: Tensor

    def __init__(self, config: TetsConfig, *, device: str = "cpu", start_from: Volume | None = None) -> None:
        super().__init__()
        self.config = config
        size = config.resolution + 1
        axis = torch.linspace(-1, 1, size)
        grid = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1)
        rim = torch.ones(size, size, size, dtype=torch.bool)
        rim[1:-1, 1:-1, 1:-1] = False
        self.cell = 2 / config.resolution
        self.register_buffer("grid", grid, persistent=False)
        self.register_buffer("rim", rim, persistent=False)
        self.register_buffer("start", grid.norm(dim=-1) - config.radius)
        self.change = nn.Parameter(torch.zeros_like(self.start))
        self.offsets = nn.Parameter(torch.zeros_like(grid))
        self.encoding, self.notes = make(config, device), note(config.backend, device)
        width = config.levels * config.features
        self.albedo_network = nn.Sequential(nn.Linear(width, config.hidden), nn.ReLU(), nn.Linear(config.hidden, 3))
        self.to(device)
        if start_from is not None:
            self.start.copy_(torch.from_numpy(distances_of(start_from, config.resolution)))
            self._learn_albedo(start_from)

    def parameter_groups(self) -> list[dict[str, Any]]:
        c = self.config
        return [
            {"params": [self.change], "lr": c.distance_rate},
            {"params": [self.offsets], "lr": c.offset_rate},
            {"params": [self.encoding.table], "lr": c.grid_rate},
            {"params": list(self.albedo_network.parameters()), "lr": c.network_rate},
        ]

    def before_step(self, step: Step) -> None: ...

    def albedo(self, points: Tensor) -> Tensor:
        unit = ((points + 1) * 0.5).clamp(0, 1)
        colors: Tensor = torch.sigmoid(self.albedo_network(self.encoding(unit, self.config.levels)))
        return colors

    def surface(self) -> SurfaceMesh:
        """Closed, whatever the distances are: those on the cube's own sides count as outside."""
        distances = self.start + blur(self.change, self.config.smoothing)
        distances = torch.where(self.rim, distances.abs() + 0.1 * self.cell, distances)
        vertices, faces, cells = march(distances, self._corners)
        if not len(faces):
            raise EmptyFieldError(
                "the surface has vanished: no point of the grid is inside it",
                "lower `field.distance_rate`, or let the stage before it run for longer",
            )
        return SurfaceMesh(vertices, faces, slopes=slopes(distances, cells, self.cell))

    def _corners(self, index: Tensor) -> Tensor:
        """(N, 3) positions of the grid's corners by their numbers."""
        moved: Tensor = self.grid.view(-1, 3)[index] + 0.45 * self.cell * torch.tanh(self.offsets.view(-1, 3)[index])
        return moved

    def _learn_albedo(self, volume: Volume) -> None:
        """Take over the colours around the surface."""
        optimizer = torch.optim.Adam([{**group} for group in self.parameter_groups()[2:]], betas=(0.9, 0.99), eps=1e-15, fused=True)
        generator = torch.Generator().manual_seed(0)
        vertices = self.surface().vertices.detach()
        for _ in range(self.config.fit_steps):
            chosen = torch.randint(len(vertices), (FIT_POINTS,), generator=generator).to(vertices.device)
            spread = self.cell * torch.randn(FIT_POINTS, 3, generator=generator).to(vertices)
            points = (vertices[chosen] + spread).clamp(-1, 1)
            with torch.no_grad():
                wanted = volume.albedo(points)
            optimizer.zero_grad(set_to_none=True)
            nn.functional.mse_loss(self.albedo(points), wanted).backward()
            optimizer.step()


def blur(values: Tensor, times: int) -> Tensor:
    """(X, Y, Z) with the binomial filter (1, 4, 6, 4, 1) / 16 along each axis, `times` times: a Gaussian of variance `times`.

    Beyond the sides the values there go on. Along an axis the filter is a matrix: one product has all its times.
    """
    for axis, size in enumerate(values.shape):
        matrix = _binomial(size, times).to(values)
        values = torch.tensordot(matrix, values, dims=([1], [axis])).movedim(0, axis)
    return values


@cache
def _binomial(size: int, times: int) -> Tensor:
    """(size, size): the filter of `blur` along an axis, `times` times."""
    matrix = torch.zeros(size, size, dtype=torch.float64)
    for shift, factor in zip(range(-2, 3), (1, 4, 6, 4, 1), strict=True):
        at = torch.arange(size)
        matrix[at, (at + shift).clamp(0, size - 1)] += factor / 16
    return torch.linalg.matrix_power(matrix, times)


def distances_of(volume: Volume, resolution: int) -> np.ndarray:
    """(R + 1, R + 1, R + 1) float32 signed distances, negative inside the solid that a volume looks like.

    The density level is the one whose solid covers what the volume covers (`surface.find_level`), halved until there is a
    solid. Raises EmptyFieldError when there is none at any level.
    """
    density = surface.sample(volume, 2 * resolution)
    cell = 1 / resolution
    level = surface.find_level(density, cell)
    for _ in range(LADDER):
        solid = _without_crumbs(density > level)
        if solid.sum() >= SMALLEST:
            break
        level /= 2
    else:
        raise EmptyFieldError(
            f"the field is empty: its densest point has {float(density.max()):.3g}", "let the stage before run for longer"
        )
    outside, inside = (ndimage.distance_transform_edt(mask) for mask in (~solid, solid))
    signed = outside - inside - np.sign(outside - inside) * 0.5
    # Near the surface, where between the cells: the first-order distance to the level, of the logarithm, which is the smoother.
    below = -np.log(np.maximum(density, 1e-6 * level) / level)
    slope = np.sqrt(sum(along**2 for along in np.gradient(below)))
    signed = np.where(np.abs(signed) < NEAR, np.clip(below / np.maximum(slope, 0.3), -NEAR, NEAR), signed)
    signed = _smoothed(signed) * cell
    signed = np.pad(signed, 1, mode="edge")  # of cells; a corner is the mean of the eight around it
    pairs = signed[0::2] + signed[1::2]
    pairs = pairs[:, 0::2] + pairs[:, 1::2]
    return np.asarray((pairs[:, :, 0::2] + pairs[:, :, 1::2]) / 8, np.float32)


def _smoothed(signed: np.ndarray) -> np.ndarray:
    """Without the bumps of a volume that is not sure of its surface, and as large as before: blurring takes from what is thin."""

    def solid(distances: np.ndarray) -> float:
        return float(np.clip(0.5 - distances, 0, 1).sum())

    blurred, wanted = ndimage.gaussian_filter(signed, SPREAD), solid(ndimage.gaussian_filter(signed, 0.5))
    level = optimize.brentq(lambda level: solid(blurred - level) - wanted, -NEAR, NEAR, xtol=1e-3)
    return np.asarray(blurred - level)


def _without_crumbs(solid: np.ndarray, share: float = 0.02) -> np.ndarray:
    """Without pieces smaller than a share of the largest."""
    labels, count = ndimage.label(solid)
    if count < 2:
        return solid
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    kept: np.ndarray = (sizes >= share * sizes.max())[labels] & solid
    return kept
