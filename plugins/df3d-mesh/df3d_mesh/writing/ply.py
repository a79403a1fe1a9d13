"""PLY with the colours of texture and vertices at the vertices."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from df3d import NoConfig
from df3d.mesh.srgb import to_linear, to_srgb
from df3d.system.files import replace_atomically
from df3d.types import MeshAsset
from df3d_mesh.writing.trimeshes import check_simple, shape, texel


class PlyExporter:
    def __init__(self, config: NoConfig) -> None: ...

    def write(self, asset: MeshAsset, path: Path) -> list[Path]:
        check_simple(asset, "PLY", baked=True)
        mesh = shape(asset.mesh)
        if (colors := _colors(asset)) is not None:
            mesh.visual.vertex_colors = (colors * 255).round().astype(np.uint8)
        data = mesh.export(file_type="ply", vertex_normal=True)
        replace_atomically(path, lambda temporary: temporary.write_bytes(data))
        return [path]


def _colors(asset: MeshAsset) -> np.ndarray | None:
    """(P, 3) sRGB of the vertices."""
    if asset.mesh.uvs is None:
        return asset.mesh.colors
    colors = texel(asset, asset.mesh.uvs)
    return colors if asset.mesh.colors is None else to_srgb(to_linear(colors) * to_linear(asset.mesh.colors))
