"""STL, text or binary, and the colours of its triangles.

trimesh, like other readers for Python, leaves out the colours and a last solid that is cut short, and joins what is nearer than
1e-8. The colours stand in the two bytes behind each triangle, in one of two ways (Wikipedia, "STL (file format)", "Colour"):
Materialise Magics says so in the header, VisCAM and SolidView do not, and have red and blue the other way round.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from df3d.mesh.srgb import to_linear
from df3d.types import Material
from df3d_mesh.reading.beside import Beside
from df3d_mesh.reading.gltf_materials import WHITE, Painted
from df3d_mesh.reading.gltf_scene import Part
from df3d_mesh.reading.obj import numbers_in

TRIANGLE = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("color", "<u2")])
START = 84  # bytes of the header of a binary file and of the number of its triangles


def read_stl(path: Path, beside: Beside, notes: list[str]) -> list[tuple[Part, Painted]]:
    """The triangles.

    Raises ValueError when it is no STL, or cut short.
    """
    data = path.read_bytes()
    corners, colors = (_text(data), None) if _is_text(data) else _binary(data, notes)
    if not np.isfinite(corners).all():
        raise ValueError("a vertex of it is no number")
    paint = Painted(Material(WHITE), None)
    if colors is not None:
        faces = np.arange(len(corners)).reshape(-1, 3)
        return [(Part(corners.astype(np.float64), faces, None, {}, np.repeat(colors, 3, axis=0), None), paint)]
    same = np.ascontiguousarray(corners + 0.0).view(f"V{3 * corners.itemsize}").ravel()  # -0 becomes 0
    _, first, faces = np.unique(same, return_index=True, return_inverse=True)
    return [(Part(corners[first].astype(np.float64), faces.reshape(-1, 3), None, {}, None, None), paint)]


def _is_text(data: bytes) -> bool:
    """Whether it has facets in words; a binary file may begin with the same words, and then is as long as it says."""
    whole = len(data) >= START and len(data) == START + TRIANGLE.itemsize * int.from_bytes(data[80:START], "little")
    begin = data[: 1 << 16].lower()
    return not whole and (b"vertex" in begin if b"\0" in begin else b"facet" in begin or b"solid" in begin)


def _text(data: bytes) -> np.ndarray:
    """(3 F, 3) float64 corners."""
    text = data.decode("latin-1")
    named = re.sub(r"^[ \t]*(?:end[ \t]*)?solid\b[^\r\n]*", "", text, flags=re.IGNORECASE | re.MULTILINE)  # names may be any words
    text = named if "vertex" in named.lower() else text
    found = re.findall(r"\bvertex\s+(\S+)\s+(\S+)\s+(\S+)", text, re.IGNORECASE)
    facets = len(re.findall(r"\bfacet\b", text, re.IGNORECASE))
    if len(found) != 3 * facets:
        raise ValueError(f"it is cut short, or damaged: {facets} facets have {len(found)} corners")
    try:
        return numbers_in(" ".join(map(" ".join, found)), np.float64).reshape(-1, 3)
    except ValueError:
        raise ValueError("a vertex of it is no number") from None


def _binary(data: bytes, notes: list[str]) -> tuple[np.ndarray, np.ndarray | None]:
    """(3 F, 3) float32 corners, and (F, 3) colours where it has any."""
    if len(data) < START:
        raise ValueError("it is no STL: it is neither a text that begins with `solid` nor long enough")
    count, there = int.from_bytes(data[80:START], "little"), (len(data) - START) // TRIANGLE.itemsize
    if not count and there:
        notes.append(f"it speaks of no triangle, and all {there:,} that are there are drawn")
        count = there
    if count > there:
        raise ValueError(f"it is cut short: it speaks of {count:,} triangles, and {there:,} are there")
    return np.frombuffer(data, TRIANGLE, count, START)["corners"].reshape(-1, 3), _colors(data, count)


def _colors(data: bytes, faces: int) -> np.ndarray | None:
    """(F, 3) float32, linear; None where the file has none."""
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
