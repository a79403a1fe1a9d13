"""Options of the hash-grid field and the ray-marching renderer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from df3d import Memory, Saving, Workload, option
from df3d.scene.options import BackgroundConfig, ShadingConfig

Backend = Literal["auto", "numba", "triton", "torch", "tcnn"]


@dataclass(frozen=True, kw_only=True)
class GridConfig:
    """A multi-resolution hash grid (Instant-NGP, arXiv 2201.05989)."""

    levels: int = option(16, "resolutions", low=1, high=32)
    features: int = option(2, "features a level, even", low=2, high=16)
    log2_table: int = option(19, "log2 of the rows a level may have", low=4, high=24)
    base: int = option(16, "cells along an axis at the coarsest level", low=2, high=65_536)
    finest: int = option(2048, "cells along an axis at the finest level", low=2, high=65_536)
    backend: Backend = option("auto", "numba on a CPU; on a GPU tcnn where installed, or else triton; torch anywhere")

    def __post_init__(self) -> None:
        if self.features % 2:
            raise ValueError("`features` must be even")
        if self.base > self.finest:
            raise ValueError("`base` must be at most `finest`")

    def table_bytes(self) -> float:
        """Tables with their gradient and both moments of Adam."""
        return 16.0 * self.levels * 2**self.log2_table * self.features

    def resolutions(self) -> list[int]:
        """Cells along an axis, level by level, in geometric steps."""
        if self.levels == 1:
            return [self.base]
        growth = (self.finest / self.base) ** (1 / (self.levels - 1))
        return [int(self.base * growth**level + 0.5) for level in range(self.levels)]


@dataclass(frozen=True, kw_only=True)
class HashGridConfig(GridConfig):
    """A NeRF on a hash grid: density = softplus(network + blob), albedo = sigmoid(network)."""

    start_levels: int | None = option(None, "levels in use at the first step; all when not given", low=1, high=32)
    levels_until: float = option(0.5, "share of the stage at which the last level comes into use")
    hidden: int = option(64, "width of the hidden layer of each network", low=1, high=1024)
    density_bias: float = option(0.0, "added before the softplus everywhere")
    density_scale: float = option(1.0, "factor on the network's output, before the softplus")
    blob_density: float = option(10.0, "height of the bias at the centre (Magic3D, arXiv 2211.10440)")
    blob_radius: float = option(0.5, "distance from the centre at which the bias is zero")
    grid_rate: float = option(0.01, "learning rate of the grid")
    network_rate: float = option(0.001, "learning rate of the networks")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.blob_radius > 0:
            raise ValueError("`blob_radius` must be more than 0")

    def shape(self) -> tuple[int, ...]:
        """What two fields must share for one to go on from the other."""
        return (self.levels, self.features, self.log2_table, self.base, self.finest, self.hidden)


@dataclass(frozen=True, kw_only=True)
class RayMarchConfig(BackgroundConfig):
    """Volume rendering of packed samples in occupied space."""

    samples: int = option(128, "steps along a ray through the unit ball's diameter", low=1, high=4096)
    occupancy: int = option(64, "cells of the occupancy grid along an axis", low=2, high=512)
    refresh_every: int = option(16, "steps between two refreshes of the occupancy grid", low=1, high=1_000_000)
    occupancy_decay: float = option(0.9, "what remains of a cell's density at a refresh, if the field has less")
    occupied: float = option(0.01, "a cell counts as occupied from this opacity per step on; less is not drawn, but in the mesh")
    opaque: float = option(1e-3, "a ray ends when its transmittance, as the occupancy grid sees it, falls below this")
    alpha_threshold: float = option(0.0, "samples less opaque than this, or hidden, are left out by a look without gradients")
    chunk: int = option(65536, "most rays drawn at once outside training", low=1, high=16_777_216)
    normals: bool = option(False, "put out normals in every step", deprecated="what needs normals says so itself, and gets them")
    tile: int = option(
        0,
        "rays drawn at once in training; drawn again for the gradient, so memory stays that of a tile; 0 for all",
        low=0,
        high=16_777_216,
    )
    backend: Literal["auto", "numba", "torch"] = option("auto", "numba on a CPU, torch on a GPU")
    shading: ShadingConfig = option(ShadingConfig(), "light")

    def __post_init__(self) -> None:
        if not (0 <= self.occupied < 1 and 0 < self.opaque < 1):
            raise ValueError("`occupied` and `opaque` must be between 0 and 1")
        if not 0 <= self.alpha_threshold < 1:
            raise ValueError("`alpha_threshold` must be between 0 and 1")


SAMPLE = 700.0  # bytes of a sample on a ray; held against an H200 (df3d-diffusion, memory.py)
TILES = (16384, 4096, 1024)  # rays drawn at once, of those that can be given up to


def field_memory(config: HashGridConfig, work: Workload) -> Memory:
    """What the field takes, but for its samples, which the renderer counts."""
    return Memory(config.table_bytes())


def renderer_memory(config: RayMarchConfig, work: Workload) -> Memory:
    """What the samples of the rays that are drawn at once take."""
    at_once = min(config.tile or work.rays, work.rays)
    savings = tuple(
        Saving({"tile": tile}, f"rays: drawn {tile} at a time, and again for their gradient") for tile in TILES if tile < at_once
    )
    return Memory(SAMPLE * at_once * config.samples, savings)
