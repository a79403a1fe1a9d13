"""PLY with the texture's colours at the vertices."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from df3d import NoConfig
from df3d.system.files import replace_atomically
from df3d.types import MeshAsset
from df3d_mesh.writing.trimeshes import one_material, shape, texel


class PlyExporter:
    def __init__(self, config: NoConfig) -> None: ...

    def write(self, asset: MeshAsset, path: Path) -> list[Path]:
        one_material(asset, "PLY")
        mesh = shape(asset.mesh)
        if asset.mesh.uvs is not None:
            mesh.visual.vertex_colors = (texel(asset, asset.mesh.uvs) * 255).round().astype(np.uint8)
        data = mesh.export(file_type="ply", vertex_normal=True)
        replace_atomically(path, lambda temporary: temporary.write_bytes(data))
        return [path]
