"""OBJ and PLY as programs write them: syntax, polygons, colours, textures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from df3d_mesh.reading.importer import read
from df3d_mesh.reading.polygons import triangulate
from PIL import Image

from df3d.errors import ExportError
from df3d.mesh.finished import as_floats

QUAD = "v -1 -1 0\nv 1 -1 0\nv 1 1 0\nv -1 1 0\n"
U = [(-1, 1), (-1, -1), (1, -1), (1, 1), (0.6, 1), (0.6, -0.6), (-0.6, -0.6), (-0.6, 1)]


def area(path: Path) -> float:
    mesh = read(path).mesh
    a, b, c = (mesh.vertices[mesh.faces[:, i]] for i in range(3))
    return float(np.cross(b - a, c - a)[:, 2].sum() / 2)


@pytest.mark.parametrize(
    "text",
    [
        QUAD + "f 1 2 3 4",
        QUAD.replace(" ", "\t") + "f\t1\t2\t3\t4",
        "\ufeff" + QUAD + "f 1 2 3 4",
        "".join(f"   {line}  # why\n" for line in (QUAD + "f 1 2 3 4").splitlines()),
        QUAD.replace("\n", "\r") + "f 1 2 3 4\r",
        QUAD + "f 1 2 \\\n3 4",
        QUAD + "f -4 -3 -2 -1",
        QUAD + "vn 0 0 1\nf 1//1 2//1 3//1\nf 1 3//1 4//1",
        QUAD + "vt 0 0\nf 1/1 2/1 3/1\nf 1/1/1 3/1/1 4/1/1",
        "o thing\ng part\ns off\n" + QUAD.replace(" 0\n", " 0 1.0\n") + "l 1 2\nf 1 2 3\nusemtl none\nf 1 3 4",
    ],
)
def test_what_is_written_in_many_ways_is_one_square(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.obj").write_bytes(text.encode())
    assert area(tmp_path / "a.obj") == pytest.approx(4)
    (tmp_path / "a.obj").write_bytes(text.removeprefix("\ufeff").encode("utf-16"))
    assert area(tmp_path / "a.obj") == pytest.approx(4)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (QUAD + "f 0 1 2 3", "counts from 1"),
        (QUAD + "f 1 2 9", "names vertex 9, and it has 4"),
        (QUAD + "f -9 1 2", "counts back beyond"),
        (QUAD + "f 1 2 x", "no list of whole numbers"),
        ("v 0,5 0 0\n" + QUAD + "f 1 2 3", "`0,5 0 0`, which are no numbers"),
        (QUAD, "holds no triangles"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "a.obj").write_text(text)
    with pytest.raises(ExportError, match=reason):
        read(tmp_path / "a.obj")


@pytest.mark.parametrize("order", [1, -1])
@pytest.mark.parametrize("turn", range(8))
def test_concave_polygons_keep_their_shape(order: int, turn: int) -> None:
    """In any plane, wherever they begin and whichever way they go."""
    corners = np.roll(np.array(U), turn, axis=0)[::order]
    random = np.random.default_rng(turn)
    axes = np.linalg.qr(random.normal(size=(3, 3)))[0]
    vertices = corners @ axes[:2]
    places, owners = triangulate(vertices, np.array([len(U)]), np.arange(len(U)))
    a, b, c = (corners[places[:, i]] for i in range(3))
    signed = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2 * order
    assert (signed > -1e-9).all()
    assert signed.sum() == pytest.approx(4 - 1.2 * 1.6)
    assert (owners == 0).all()


def test_polygons_of_many_kinds_stay_apart() -> None:
    points = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0], [0.5, 2, 0]])
    places, owners = triangulate(points, np.array([3, 4, 2, 5]), np.array([0, 1, 2, 0, 1, 2, 3, 0, 1, 0, 1, 2, 4, 3]))
    assert np.bincount(owners).tolist() == [1, 2, 0, 3]
    assert len(places) == 6


def test_materials_and_colours_of_vertices(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2), (0, 255, 0)).save(tmp_path / "Wood Grain.png")
    (tmp_path / "a.mtl").write_text(
        "newmtl red\nKd 1 0 0\nnewmtl wood\nKd 0.8 0.8 0.8\nmap_Kd -s 1 1 1 -clamp on textures\\\\..\\\\wood%20grain.PNG\n"
        "newmtl lost\nmap_Kd C:\\\\art\\\\gone.png\n".replace("\\\\", "\\")
    )
    faces = "vt 0 0\nusemtl red\nf 1 2 3\nusemtl wood\nf 1/1 3/1 4/1\n"
    (tmp_path / "a.obj").write_text("mtllib a.mtl\n" + QUAD + faces)
    asset = read(tmp_path / "a.obj")
    assert asset.mesh.materials is not None
    colors = [as_floats(asset.materials[m].base_color).mean((0, 1)).tolist() for m in asset.mesh.materials]
    assert colors == [[1, 0, 0], [0, 1, 0]]
    (tmp_path / "a.obj").write_text("mtllib a.mtl\n" + QUAD + "usemtl lost\nf 1 2 3\nusemtl red\nf 1 3 4\n")
    assert any("gone.png` is not there" in note for note in read(tmp_path / "a.obj").notes)
    tinted = "".join(f"{line} 0 0 {number}\n" for number, line in enumerate(QUAD.splitlines()) for number in (1,))
    (tmp_path / "a.obj").write_text("mtllib a.mtl\n" + tinted + "usemtl red\nf 1 2 3 4\n")
    found = read(tmp_path / "a.obj").mesh.colors
    assert found is not None
    assert found.tolist() == [[0, 0, 1]] * 4


def ply(kind: str, color: str, values: str, names: str = "red green blue", face: str = "") -> str:
    header = "".join(f"property {color} {name}\n" for name in names.split())
    rows = "".join(f"{x} {y} 0 {values}\n" for x, y in ((-1, -1), (1, -1), (1, 1), (-1, 1)))
    return (
        f"ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\nproperty float z\n{header}"
        f"element face 1\nproperty list uchar int {kind}\n{face}end_header\n{rows}4 0 1 2 3 {'0 0 255' if face else ''}\n"
    )


@pytest.mark.parametrize(
    ("color", "values", "names"),
    [
        ("uchar", "128 0 255", "red green blue"),
        ("ushort", "32896 0 65535", "red green blue"),
        ("int", "128 0 255", "diffuse_red diffuse_green diffuse_blue"),
        ("float", "0.502 0 1", "r g b"),
        ("double", "128 0 255", "red green blue"),
    ],
)
def test_colours_of_every_type_and_name(tmp_path: Path, color: str, values: str, names: str) -> None:
    (tmp_path / "a.ply").write_text(ply("vertex_indices", color, values, names))
    found = read(tmp_path / "a.ply").mesh.colors
    assert found is not None
    np.testing.assert_allclose(found, [[0.502, 0, 1]] * 4, atol=0.002)


def test_colours_of_faces_stay_within_them(tmp_path: Path) -> None:
    face = "property uchar red\nproperty uchar green\nproperty uchar blue\n"
    (tmp_path / "a.ply").write_text(ply("vertex_index", "", "", "", face))
    mesh = read(tmp_path / "a.ply").mesh
    assert mesh.colors is not None
    assert mesh.colors.tolist() == [[0, 0, 1]] * 6


@pytest.mark.parametrize("order", ["<", ">"])
def test_binary_polygons_of_several_sizes(tmp_path: Path, order: str) -> None:
    name = "little" if order == "<" else "big"
    header = (
        f"ply\nformat binary_{name}_endian 1.0\nelement vertex 5\nproperty float x\nproperty float y\nproperty float z\n"
        "element face 2\nproperty uchar flags\nproperty list uchar int vertex_indices\nproperty list uchar short more\nend_header\n"
    )
    points = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0], [0, 3, 0]], order + "f4").tobytes()
    rows = [(4, [0, 1, 2, 3], []), (3, [3, 2, 4], [1, 2])]
    data = b"".join(
        bytes([7, n]) + np.array(at, order + "i4").tobytes() + bytes([len(more)]) + np.array(more, order + "i2").tobytes()
        for n, at, more in rows
    )
    (tmp_path / "a.ply").write_bytes(header.encode() + points + data)
    assert area(tmp_path / "a.ply") == pytest.approx(4 + 2)
    (tmp_path / "a.ply").write_bytes(header.encode() + points + data[:-3])
    with pytest.raises(ExportError, match="the data of `face` are not all there"):
        read(tmp_path / "a.ply")


def test_a_face_may_name_coordinates_that_are_not_there(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text(QUAD + "vt 0 0\nf 1/1/1 2/2/1 3/3/1\nf 1/1 3/9 4/1")
    assert area(tmp_path / "a.obj") == pytest.approx(4)
    assert "texture coordinates that it does not have" in read(tmp_path / "a.obj").notes[0]


def test_vertices_without_a_colour_are_white(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text("v -1 -1 0 1 0 0\nv 1 -1 0\nv 1 1 0 0 0 1\nf 1 2 3")
    colors = read(tmp_path / "a.obj").mesh.colors
    assert colors is not None
    np.testing.assert_allclose(colors, [[1, 0, 0], [1, 1, 1], [0, 0, 1]])


def test_a_colour_that_is_no_number_is_white(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text("v -1 -1 0 1 0 0\nv 1 -1 0 nan 0.5 0\nv 1 1 0 0 0 1\nf 1 2 3")
    asset = read(tmp_path / "a.obj")
    assert asset.mesh.colors is not None
    assert np.isfinite(asset.mesh.colors).all()
    assert "no numbers" in asset.notes[0]


HEAD = "ply\nformat ascii 1.0\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
COLOR = "property uchar red\nproperty uchar green\nproperty uchar blue\n"
FACE = "element face 1\nproperty list uchar int vertex_indices\n"


def test_rows_that_hold_more_than_the_header_says(tmp_path: Path) -> None:
    (tmp_path / "a.ply").write_text(HEAD + FACE + "end_header\n0 0 0 9 9\n1 0 0 9 9\n0 1 0 9 9\n3 0 1 2 7 7 7\n")
    asset = read(tmp_path / "a.ply")
    np.testing.assert_allclose(asset.mesh.vertices, [[0, 0, 0], [1, 0, 0], [0, 1, 0]])
    assert "more than its header says" in asset.notes[0]
    (tmp_path / "b.ply").write_text(HEAD + FACE + "end_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n8 8\n")
    with pytest.raises(ExportError, match="2 numbers more than its header says"):
        read(tmp_path / "b.ply")


@pytest.mark.parametrize(("vertex", "expected"), [("255 255 255", [1, 0, 0]), ("0 255 0", [0, 1, 0])])
def test_colours_of_faces_count_where_those_of_vertices_say_nothing(tmp_path: Path, vertex: str, expected: list[float]) -> None:
    rows = [f"0 0 0 {vertex}", f"1 0 0 {vertex}", f"0 1 0 {'0 254 0' if vertex[0] == '0' else vertex}", "3 0 1 2 255 0 0"]
    (tmp_path / "a.ply").write_text(HEAD + COLOR + FACE + COLOR + "end_header\n" + "\n".join(rows))
    asset = read(tmp_path / "a.ply")
    assert asset.mesh.colors is not None
    np.testing.assert_allclose(asset.mesh.colors[0], expected)
    assert bool(asset.notes) == (vertex[0] == "0")


def stl(header: bytes, colors: list[int]) -> bytes:
    rows = b""
    for number, color in enumerate(colors):
        corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0]], "<f4") + np.float32(number)
        rows += np.zeros(3, "<f4").tobytes() + corners.tobytes() + color.to_bytes(2, "little")
    return header.ljust(80) + len(colors).to_bytes(4, "little") + rows


RED_MAGICS, RED_VISCAM, NONE_MAGICS = 0b11111, 1 << 15 | 0b11111 << 10, 1 << 15


@pytest.mark.parametrize(
    ("header", "colors", "expected"),
    [
        (b"made by Magics COLOR=\x00\x00\xff\xff", [RED_MAGICS, NONE_MAGICS], [[1, 0, 0], [0, 0, 1]]),
        (b"made by VisCAM", [RED_VISCAM, 0], [[1, 0, 0], [1, 1, 1]]),
        (b"made by another", [0, 0], [[1, 1, 1], [1, 1, 1]]),
    ],
)
def test_colours_of_an_stl(tmp_path: Path, header: bytes, colors: list[int], expected: list[list[float]]) -> None:
    (tmp_path / "a.stl").write_bytes(stl(header, colors))
    mesh = read(tmp_path / "a.stl").mesh
    assert mesh.colors is not None
    np.testing.assert_allclose(mesh.colors[mesh.faces[:, 0]], expected)


@pytest.mark.parametrize(
    ("lines", "opacity"), [("d 0.25", 0.25), ("Tr 0.25", 0.75), ("Tr 0", None), ("d 1", None), ("Tr 1", None), ("", None)]
)
def test_how_solid_a_material_is(tmp_path: Path, lines: str, opacity: float | None) -> None:
    """`d` is how solid, `Tr` how transparent it is; many write a wrong one for what is solid."""
    (tmp_path / "a.mtl").write_text(f"newmtl x\nKd 1 0 0\n{lines}\n")
    (tmp_path / "a.obj").write_text(f"mtllib a.mtl\nusemtl x\n{QUAD}f 1 2 3 4")
    found = read(tmp_path / "a.obj").material.opacity
    assert (None if found is None else float(found[0, 0])) == opacity
