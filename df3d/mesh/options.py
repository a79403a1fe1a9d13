"""The options of the way from a finished field to a file. No torch: they are read before it loads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from df3d.plugin.schema import option


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """From the finished field to a file."""

    format: str = option("", "exporter: `df3d plugins` lists them; the usual one for what is made when not given")
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
