"""STL as programs write it: text and binary, several solids, any size, damaged."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
from df3d_mesh.reading.importer import read

from df3d.errors import ExportError
from df3d.types import MeshAsset

FACET = """ facet normal 0 0 1
  outer loop
   vertex {0} 0 0
   vertex {1} 0 0
   vertex {0} 1 0
  endloop
 endfacet
"""
ONE = "solid a\n" + FACET.format(0, 1) + "endsolid a\n"
TWO = ONE + "solid b\n" + FACET.format(2, 3) + "endsolid b\n"


def of(tmp_path: Path, data: str | bytes) -> MeshAsset:
    path = tmp_path / "a.stl"
    path.write_bytes(data.encode("latin-1") if isinstance(data, str) else data)
    return read(path)


def binary(count: int, told: int, behind: bytes = b"", header: bytes = b"") -> bytes:
    """Triangles beside one another, of which the file speaks of `told`."""
    data = header.ljust(80, b" ") + struct.pack("<I", told)
    return data + b"".join(struct.pack("<12fH", 0, 0, 1, i, 0, 0, i + 1, 0, 0, i, 1, 0, 0) for i in range(count)) + behind


@pytest.mark.parametrize(
    ("data", "faces"),
    [
        (ONE, 1),
        (TWO, 2),
        (TWO.upper(), 2),
        (TWO.replace("\n", "\r"), 2),
        (" ".join(ONE.replace("endsolid a", "endsolid").split()), 1),
        ("// made by hand\n" + ONE, 1),
        (ONE.replace("solid a", "solid vertex facet 1 2 3"), 1),
        (TWO.removesuffix("endsolid b\n"), 2),
        (TWO.replace("endsolid b", "end solid b"), 2),
        (ONE.replace("normal 0 0 1", "normal 1.#QNAN -nan(ind) 0"), 1),
        (ONE.replace("normal 0 0 1", "normal 0 0 1 # up"), 1),
        (binary(2, 2), 2),
        (binary(2, 2, header=b"solid facet vertex"), 2),
        (binary(2, 2, behind=b"made by something"), 2),
        (binary(2, 0), 2),
    ],
)
def test_triangles_however_they_are_written(
    tmp_path: Path, data: str | bytes, faces: int, capfd: pytest.CaptureFixture[str]
) -> None:
    mesh = of(tmp_path, data).mesh
    assert len(mesh.faces) == faces
    assert np.ptp(mesh.vertices[:, 2]) == 0
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (TWO[:-60], "cut short, or damaged: 2 facets have"),
        (ONE.replace("vertex 0 1 0", "vertex 0 x 0"), "a vertex of it is no number"),
        (ONE.replace("vertex 0 1 0", "vertex 0 nan 0"), "a vertex of it is no number"),
        (binary(2, 3), "it speaks of 3 triangles, and 2 are there"),
        (b"no STL at all", "it is no STL"),
        ("solid nothing\nendsolid nothing\n", "holds no triangles"),
    ],
)
def test_what_is_damaged_is_refused(tmp_path: Path, data: str | bytes, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        of(tmp_path, data)


@pytest.mark.parametrize("size", [1e-9, 1e-4, 1.0, 1e6, 1e12])
def test_vertices_are_joined_where_they_are_the_same_and_nowhere_else(tmp_path: Path, size: float) -> None:
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32) * np.float32(size)
    data = b" " * 80 + struct.pack("<I", 2)
    for face in ((0, 1, 2), (0, 2, 3)):
        data += struct.pack("<12fH", 0, 0, 1, *corners[list(face)].ravel(), 0)
    mesh = of(tmp_path, data).mesh
    assert len(mesh.vertices) == 4
    np.testing.assert_allclose(np.ptp(mesh.vertices, axis=0)[:2], size, rtol=1e-6)


@pytest.mark.parametrize("magics", [True, False])
def test_colours_have_five_bits_each(tmp_path: Path, magics: bool) -> None:
    """Red 31, green 16 and blue 8: the other way round where it is not Magics that wrote them, whose bit says it is its own."""
    red, green, blue = 31, 16, 8
    color = red | green << 5 | blue << 10 if magics else 1 << 15 | red << 10 | green << 5 | blue
    header = (b"COLOR=\xff\xff\xff\xff" if magics else b"").ljust(80)
    facet = struct.pack("<12fH", 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, color)
    colors = of(tmp_path, header + struct.pack("<I", 1) + facet).mesh.colors
    assert colors is not None
    np.testing.assert_allclose(colors[0], [1.0, 16 / 31, 8 / 31], atol=1e-5)


def test_what_is_drawn_against_its_word_is_noted(tmp_path: Path) -> None:
    assert of(tmp_path, binary(2, 0)).notes == ("it speaks of no triangle, and all 2 that are there are drawn",)
    assert of(tmp_path, binary(2, 2)).notes == ()
    assert len(of(tmp_path, binary(3, 2)).mesh.faces) == 2


def test_zero_and_minus_zero_are_one_place(tmp_path: Path) -> None:
    text = ONE + ONE.replace("vertex 0 0 0", "vertex -0.0 0 -0.0").replace("vertex 0 1 0", "vertex 0 -1 0")
    assert len(of(tmp_path, text).mesh.vertices) == 4
