"""The options of the way from a finished field to a file. No torch: they are read before it loads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from df3d.plugin.schema import option


@dataclass(frozen=True, kw_only=True)
class ExportConfig:
    """From the finished field to a file."""

    format: str = option("", "exporter: `df3d plugins` lists them; the usual one for what is made when not given")
    resolution: int = option(160, "cells of the marching cubes along each axis", low=8, high=1024)
    threshold: float | None = option(None, "density of the surface; found from the field when not given")
    faces: int = option(20_000, "triangles to simplify to; 0 keeps all", low=0, high=10_000_000)
    texture_size: int = option(1024, "height and width of the texture, pixels", low=16, high=8192)
    normal_map: bool = option(False, "keep the normals of the mesh before it is simplified, as a texture (GLB, glTF, OBJ)")
    turntable: int = option(256, "height and width of the pictures at the end, pixels; 0 for none", low=0, high=2048)
    unlit: bool = option(False, "tell viewers to show the colours without light (GLB)")
    scale: float | None = option(None, "length of the longest side, in the file's units; as in the field when not given")
    origin: Literal["field", "base", "centre"] = option("field", "what lies at the origin: the field's, middle of base, or of all")
    up: Literal["y", "z"] = option("y", "axis that points up in the file; +Z (y up) or -Y (z up) is the front")
    keep: float = option(0.02, "loose pieces smaller than this share of the largest are removed", low=0, high=1)

    def __post_init__(self) -> None:
        if not all(value is None or 0 < value < float("inf") for value in (self.threshold, self.scale)):
            raise ValueError("`threshold` and `scale` must be more than 0, and finite")
