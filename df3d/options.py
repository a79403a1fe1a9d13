"""The options of df3d's own parts, as recipes set them. No torch: they are read for `--help` and checked before it loads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from df3d.config import option
from df3d.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class CameraConfig:
    """Random training cameras, all looking at the origin."""

    views: int = option(4, "cameras a step")
    size: int | Schedule = option(64, "height and width of a render, pixels; one that changes goes by multiples of 8")
    elevation: tuple[float, float] = option((-10.0, 60.0), "lowest and highest, degrees")
    distance: tuple[float, float] = option((3.0, 3.0), "nearest and farthest from the origin")
    fov_y: tuple[float, float] = option((35.0, 35.0), "narrowest and widest vertical field of view, degrees")

    def __post_init__(self) -> None:
        sizes = (self.size,) if isinstance(self.size, int) else self.size.ends
        if self.views < 1 or min(sizes) < 1:
            raise ValueError("`views` and `size` must be at least 1")
        if not self.distance[0] > 1.0:
            raise ValueError("`distance` must be more than 1: the object fills the unit ball")


@dataclass(frozen=True, kw_only=True)
class OptimizerConfig:
    """Adam, with the betas and epsilon that hash grids want (Instant-NGP, arXiv 2201.05989, section 4)."""

    learning_rate: float = option(0.01, "for parameter groups without a rate of their own")
    betas: tuple[float, float] = option((0.9, 0.99), "decay of the moments")
    epsilon: float = option(1e-15, "added to the root of the second moment")
    decay: Schedule = option(Schedule(1.0), "factor on every learning rate")

    def __post_init__(self) -> None:
        if self.learning_rate < 0 or self.epsilon < 0 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError("`learning_rate` and `epsilon` must be at least 0, `betas` from 0 to below 1")


@dataclass(frozen=True, kw_only=True)
class PenaltyConfig:
    """Weights of the penalties in `df3d.losses`; 0 switches one off."""

    opacity: Schedule = option(Schedule(0.0), "keep space empty")
    entropy: Schedule = option(Schedule(0.0), "make pixels see-through or solid, nothing between")
    orientation: Schedule = option(Schedule(0.0), "turn normals towards the camera")
    normal_consistency: Schedule = option(Schedule(0.0), "of a mesh: neighbouring faces look the same way")
    laplacian: Schedule = option(Schedule(0.0), "of a mesh: vertices lie amid their neighbours")
    edge_length: Schedule = option(Schedule(0.0), "of a mesh: no long edges")
    eikonal: Schedule = option(Schedule(0.0), "of a mesh: its signed distances grow by 1 per world unit")

    NEEDS = {"orientation": "normal"} | dict.fromkeys(("normal_consistency", "laplacian", "edge_length", "eikonal"), "mesh")
    # what the renderer must put out (unannotated: not an option)


@dataclass(frozen=True, kw_only=True)
class ShadingConfig:
    """How renders are lit. In training each step draws a mode; outside training `lambertian` is used if it can occur."""

    albedo_until: float = option(0.2, "share of the stage in which only albedo is shown")
    lambertian: float = option(0.75, "probability of light after that")
    textureless: float = option(0.5, "share of the lit steps in which the albedo is white")
    ambient: float = option(0.1, "light from everywhere")
    diffuse: float = option(0.9, "light from the point light")
    light: Literal["random", "head"] = option("random", "a point light near the camera, or one at the camera")

    def __post_init__(self) -> None:
        if not (0 <= self.lambertian <= 1 and 0 <= self.textureless <= 1):
            raise ValueError("`lambertian` and `textureless` are probabilities between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class BackgroundConfig:
    """What a renderer puts behind the object."""

    background: Literal["fixed", "random", "learned"] = option("fixed", "what is behind the object")
    background_color: tuple[float, float, float] = option((1.0, 1.0, 1.0), "of the fixed background, sRGB in [0, 1]")


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """From the finished field to a file."""

    format: str = option("glb", "exporter: `df3d plugins` lists them")
    resolution: int = option(160, "cells of the marching cubes along each axis")
    threshold: float | None = option(None, "density of the surface; found from the field when not given")
    faces: int = option(20_000, "triangles to simplify to; 0 keeps all")
    texture_size: int = option(1024, "height and width of the texture, pixels")
    normal_map: bool = option(False, "keep the normals of the mesh before it is simplified, as a texture (GLB, glTF, OBJ)")
    turntable: int = option(256, "height and width of the pictures at the end, pixels; 0 for none")
    unlit: bool = option(False, "tell viewers to show the colours without light (GLB)")
    scale: float | None = option(None, "length of the longest side, in the file's units; as in the field when not given")
    origin: Literal["field", "base", "centre"] = option("field", "what lies at the origin: the field's, middle of base, or of all")
    up: Literal["y", "z"] = option("y", "axis that points up in the file; +Z (y up) or -Y (z up) is the front")
    keep: float = option(0.02, "loose pieces smaller than this share of the largest are removed")

    def __post_init__(self) -> None:
        if not 8 <= self.resolution <= 1024 or not 16 <= self.texture_size <= 8192:
            raise ValueError("`resolution` must be between 8 and 1024, `texture_size` between 16 and 8192")
        if self.faces < 0 or self.turntable < 0 or not 0 <= self.keep <= 1:
            raise ValueError("`faces` and `turntable` must be at least 0, `keep` between 0 and 1")
        if not all(value is None or 0 < value < float("inf") for value in (self.threshold, self.scale)):
            raise ValueError("`threshold` and `scale` must be more than 0, and finite")
