"""Options of the surface field and of the rasterising renderer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from df3d_hashgrid.config import GridConfig

from df3d import Memory, Workload, option
from df3d.scene.options import BackgroundConfig, ShadingConfig

Backend = Literal["auto", "nvdiffrast", "cpu"]


@dataclass(frozen=True, kw_only=True)
class TetsConfig(GridConfig):
    """A surface in a deformable tetrahedral grid, coloured by a hash grid."""

    start_levels: int | None = option(None, "nothing", low=1, high=32, deprecated="`tets` uses all levels from the first step on")
    levels_until: float = option(0.5, "nothing", deprecated="`tets` uses all levels from the first step on")
    resolution: int = option(64, "cells of the grid along each axis; each is six tetrahedra", low=4, high=256)
    hidden: int = option(64, "width of the hidden layer of the albedo network", low=1, high=1024)
    fit_steps: int = option(200, "steps in which the albedo of the field it starts from is learnt", low=0, high=100_000)
    radius: float = option(0.5, "of the ball it is when it starts from nothing")
    smoothing: int = option(
        4, "how often changes of the distances are blurred over the grid; their spread squared, in cells", low=0, high=100
    )
    distance_rate: float = option(0.001, "learning rate of the signed distances")
    offset_rate: float = option(0.001, "learning rate of the grid's corners, in units of 0.45 of a cell, the farthest they can go")
    grid_rate: float = option(0.01, "learning rate of the hash grid")
    network_rate: float = option(0.001, "learning rate of the albedo network")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.radius < 1:
            raise ValueError("`radius` must be between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class TextureConfig:
    """A mesh whose texture learns."""

    size: int = option(1024, "height and width of the texture, pixels", low=16, high=8192)
    faces: int = option(20_000, "triangles to simplify the mesh to; 0 keeps all", low=0, high=10_000_000)
    keep: float = option(0.02, "loose pieces smaller than this share of the largest are removed", low=0, high=1)
    resolution: int = option(160, "cells of the marching cubes along each axis, where it starts from a volume", low=8, high=1024)
    rate: float = option(0.02, "learning rate of the texels")


@dataclass(frozen=True, kw_only=True)
class RasterConfig(BackgroundConfig):
    """Rasterisation of a surface, with edges that give it a gradient."""

    supersample: int = option(2, "samples along each side of a pixel", low=1, high=8)
    cull: bool = option(False, "leave out faces that are seen from behind")
    backend: Backend = option("auto", "nvdiffrast on a GPU where it is installed, cpu otherwise")
    shading: ShadingConfig = option(ShadingConfig(), "light")


CELL, PIXEL, TEXEL = 1000.0, 2000.0, 48.0  # bytes of a cell of the grid, a pixel of a surface, a texel with Adam's moments


def tets_memory(config: TetsConfig, work: Workload) -> Memory:
    """The grid, and the tables of the colours."""
    return Memory(config.table_bytes() + CELL * config.resolution**3)


def texture_memory(config: TextureConfig, work: Workload) -> Memory:
    """The texels with their gradient and moments."""
    return Memory(TEXEL * config.size**2)


def raster_memory(config: RasterConfig, work: Workload) -> Memory:
    """The samples of a step's pixels."""
    return Memory(PIXEL * work.rays * config.supersample**2)
