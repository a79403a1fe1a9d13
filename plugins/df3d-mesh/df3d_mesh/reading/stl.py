"""STL by trimesh, and the colours of its triangles, which trimesh leaves out.

They stand in the two bytes behind each triangle, in one of two ways (Wikipedia, "STL (file format)", section "Colour"):
Materialise Magics says so in the header, VisCAM and SolidView do not, and have red and blue the other way round.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import trimesh

from df3d.mesh.finished import to_linear
from df3d.types import Material
from df3d_mesh.reading.beside import Beside
from df3d_mesh.reading.gltf_materials import WHITE, Painted
from df3d_mesh.reading.gltf_scene import Part

TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("color", "<u2")])
START = 84  # bytes of the header of a binary file and of the number of its triangles


def read_stl(path: Path, beside: Beside, notes: list[str]) -> list[tuple[Part, Painted]]:
    """The triangles.

    Raises ValueError when it is no STL.
    """
    data = path.read_bytes()
    mesh = trimesh.load_scene(io.BytesIO(data), file_type="stl", process=False).to_mesh()
    if not np.isfinite(mesh.vertices).all():
        raise ValueError("a vertex of it is no number")
    paint = Painted(Material(WHITE), None)
    colors = _colors(data, len(mesh.faces))
    if colors is not None:
        corners = mesh.vertices[mesh.faces].reshape(-1, 3)
        faces = np.arange(len(corners)).reshape(-1, 3)
        return [(Part(corners, faces, None, {}, np.repeat(colors, 3, axis=0), None), paint)]
    mesh.process()
    return [(Part(np.array(mesh.vertices, np.float64), np.array(mesh.faces, np.int64), None, {}, None, None), paint)]


def _colors(data: bytes, faces: int) -> np.ndarray | None:
    """(F, 3) float32, linear; None where the file has none."""
    if len(data) < START + faces * TRIANGLE.itemsize or int.from_bytes(data[80:START], "little") != faces:
        return None
    told = np.frombuffer(data, TRIANGLE, faces, START)["color"]
    own, channels = told >= 1 << 15, [told >> shift & 31 for shift in (0, 5, 10)]
    magics = data.find(b"COLOR=", 0, 76)
    if magics < 0:
        if not own.any():
            return None
        whole, channels = np.array([1.0, 1.0, 1.0]), channels[::-1]
    else:
        whole, own = np.frombuffer(data, np.uint8, 3, magics + 6) / 255, ~own
    return to_linear(np.where(own[:, None], np.stack(channels, axis=1) / 31, whole)).astype(np.float32)
