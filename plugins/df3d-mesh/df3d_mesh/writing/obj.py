"""Wavefront OBJ, in the same axes as the GLB, with a plain MTL and a PNG, or colours of its vertices."""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from df3d import NoConfig
from df3d.system.files import replace_atomically
from df3d.types import MeshAsset
from df3d_mesh.writing.trimeshes import check_simple, normal_image, texture_image


class ObjExporter:
    def __init__(self, config: NoConfig) -> None: ...

    def write(self, asset: MeshAsset, path: Path) -> list[Path]:
        """`asset.obj`, `asset.mtl`, and for a texture `asset-albedo.png`, for a normal map `asset-normal.png`.

        The OBJ is written last, so that what it names is there when it is.
        """
        check_simple(asset, "OBJ")
        mtl, png = path.with_suffix(".mtl"), path.with_name(f"{path.stem}-albedo.png")
        material, files = "newmtl albedo\nKa 0 0 0\nKd 1 1 1\nKs 0 0 0\nd 1\nillum 1\n", [path, mtl]
        if asset.mesh.uvs is not None:
            replace_atomically(png, lambda temporary: texture_image(asset.material).save(temporary, "PNG"))
            material += f"map_Kd {png.name}\n"
            files.append(png)
            if (normals := normal_image(asset.material)) is not None:
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
    vertices = mesh.vertices if mesh.colors is None else np.concatenate([mesh.vertices, mesh.colors], axis=1)
    corner = "%d"
    for tag, rows, reference in (("v", vertices, ""), ("vt", mesh.uvs, "/%d"), ("vn", mesh.normals, "/%d")):
        if rows is not None:
            yield _table(f"{tag} " + " ".join(["%.6g"] * rows.shape[1]), rows)
            corner += reference
        elif tag == "vt" and mesh.normals is not None:
            corner += "/"
    yield _table("f " + " ".join([corner] * 3), np.repeat(mesh.faces + 1, corner.count("%d"), axis=1))


def _table(line: str, rows: np.ndarray) -> str:
    text = io.StringIO()
    np.savetxt(text, rows, fmt=line)
    return text.getvalue()
