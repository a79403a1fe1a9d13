"""Binary STL: the shape alone, seams of the texture closed again."""

from __future__ import annotations

from pathlib import Path

from df3d.checkpoint import replace_atomically
from df3d.plugin import NoConfig
from df3d.types import Asset
from df3d_mesh.trimeshes import shape


class StlExporter:
    def __init__(self, config: NoConfig) -> None: ...

    def write(self, asset: Asset, path: Path) -> list[Path]:
        mesh = shape(asset.mesh)
        mesh.merge_vertices(merge_tex=True, merge_norm=True)
        data = mesh.export(file_type="stl")
        replace_atomically(path, lambda temporary: temporary.write_bytes(data))
        return [path]
