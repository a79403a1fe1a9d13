"""Binary STL, for printing: the shape alone, seams of the texture closed again, watertight or not written."""

from __future__ import annotations

import math
from pathlib import Path

from df3d import NoConfig
from df3d.errors import ExportError
from df3d.system.files import replace_atomically
from df3d.types import MeshAsset
from df3d_mesh.writing.trimeshes import shape


class StlExporter:
    def __init__(self, config: NoConfig) -> None: ...

    def write(self, asset: MeshAsset, path: Path) -> list[Path]:
        """Holes are filled where that is enough.

        Raises ExportError when the mesh stays open: a slicer would guess what is inside.
        """
        mesh = shape(asset.mesh)
        digits = max(0, 8 - round(math.log10(max(mesh.scale, 1e-30))))  # the same share of any size
        mesh.merge_vertices(merge_tex=True, merge_norm=True, digits_vertex=digits)
        if not mesh.is_watertight:
            mesh.fill_holes()
        if not mesh.is_watertight:
            raise ExportError(
                f"`{path}` is not written: the mesh is not watertight, and its holes could not be filled",
                "export a .glb or .ply, or extract the surface anew with another --resolution or --threshold",
            )
        data = mesh.export(file_type="stl")
        replace_atomically(path, lambda temporary: temporary.write_bytes(data))
        return [path]
