"""Wavefront OBJ, in the same axes as the GLB, with a plain MTL and a PNG. Written by hand: fifteen lines of text format."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from df3d import NoConfig
from df3d.system.files import replace_atomically
from df3d.types import MeshAsset
from df3d_mesh.writing.trimeshes import normal_image, one_material, texture_image


class ObjExporter:
    def __init__(self, config: NoConfig) -> None: ...

    def write(self, asset: MeshAsset, path: Path) -> list[Path]:
        """`asset.obj`, `asset.mtl`, `asset-albedo.png`, and `asset-normal.png` for a normal map.

        The OBJ is written last, so that what it names is there when it is.
        """
        one_material(asset, "OBJ")
        mtl, png = path.with_suffix(".mtl"), path.with_name(f"{path.stem}-albedo.png")
        replace_atomically(png, lambda temporary: texture_image(asset).save(temporary, "PNG"))
        material = f"newmtl albedo\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nd 1\nillum 1\nmap_Kd {png.name}\n"
        files = [path, mtl, png]
        if (normals := normal_image(asset)) is not None:
            files.append(path.with_name(f"{path.stem}-normal.png"))
            replace_atomically(files[-1], lambda temporary: normals.save(temporary, "PNG"))
            material += f"norm {files[-1].name}\n"
        replace_atomically(mtl, lambda temporary: temporary.write_text(material, encoding="utf-8"))
        text = "".join(_lines(asset, mtl.name))
        replace_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
        return files


def _lines(asset: MeshAsset, material: str) -> Iterable[str]:
    mesh = asset.mesh
    yield f"# df3d: {' '.join(str(asset.provenance.get('prompt', '')).split())}\nmtllib {material}\nusemtl albedo\n"
    for tag, rows in (("v", mesh.vertices), ("vt", mesh.uvs), ("vn", mesh.normals)):
        if rows is not None:
            yield _table(f"{tag} " + " ".join(["%.6g"] * rows.shape[1]), rows)
    corner = "%d/%d/%d" if mesh.normals is not None else "%d/%d"
    count = corner.count("%d")
    yield _table("f " + " ".join([corner] * 3), np.repeat(mesh.faces + 1, count, axis=1))


def _table(line: str, rows: np.ndarray) -> str:
    text = io.StringIO()
    np.savetxt(text, rows, fmt=line)
    return text.getvalue()
