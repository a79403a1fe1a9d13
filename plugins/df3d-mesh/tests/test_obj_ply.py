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
from df3d.types import Material, MeshAsset

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
    assert colors == [[1, 0, 0], [0, pytest.approx(0.8), 0]]  # a picture is tinted by Kd
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


MATERIAL = "newmtl a\n{}\nnewmtl b#2\nKd 0 0 1\n"
TEXTURED = QUAD + "vt 0 0\nvt 1 0\nvt 1 1\nvt 0 1\nusemtl a\nf 1/1 2/2 3/3 4/4\n"


def material_of(tmp_path: Path, lines: str) -> tuple[Material, MeshAsset]:
    """What a square is painted with."""
    Image.fromarray(np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 0]]], np.uint8)).save(tmp_path / "t.png")
    (tmp_path / "a.mtl").write_text(MATERIAL.format(lines))
    (tmp_path / "a.obj").write_text("mtllib a.mtl\n" + TEXTURED)
    asset = read(tmp_path / "a.obj")
    return asset.material, asset


@pytest.mark.parametrize(
    ("lines", "color"),
    [
        ("Kd 0.2", (0.2, 0.2, 0.2)),
        ("Kd 1 0 0 # red", (1, 0, 0)),
        ("Kd 0 1 0 1", (0, 1, 0)),
        ("Kd 0 0 0\nKe 1 0 1", (1, 0, 1)),
        ("Kd 0 0 0\nmap_Kd t.png", (0.5, 0.5, 0.25)),
        ("Kd 1 0 0\nmap_Kd t.png", (0.5, 0, 0)),
        ("map_Kd -mm 0.5 0.5 t.png", (0.75, 0.75, 0.625)),
        ("map_Kd t.png # the wood", (0.5, 0.5, 0.25)),
        ("Kd 0 0 0\nmap_Ke t.png", (0.5, 0.5, 0.25)),
    ],
)
def test_what_an_mtl_says_of_colour(tmp_path: Path, lines: str, color: tuple[float, float, float]) -> None:
    material, asset = material_of(tmp_path, lines)
    shown = as_floats(material.base_color).mean((0, 1))
    if material.base_color.shape[:2] == (1, 1) and asset.mesh.colors is not None:
        shown = asset.mesh.colors.mean(0)
    np.testing.assert_allclose(shown, color, atol=0.01)
    assert not asset.notes


@pytest.mark.parametrize(
    ("lines", "note"),
    [
        ("Kd spectral file.rfl", "the `Kd` of its material `a` is no colour that is known"),
        ("map_Kd -clamp on t.png", "the texture's edge goes on"),
        ("map_Kd t.png\nmap_Ke -s 2 2 2 t.png", "lies otherwise than its colours"),
    ],
)
def test_what_an_mtl_says_and_is_not_drawn_is_named(tmp_path: Path, lines: str, note: str) -> None:
    assert any(note in found for found in material_of(tmp_path, lines)[1].notes)


def test_a_map_is_scaled_and_moved(tmp_path: Path) -> None:
    """`-s 2 3 -o 0.5 0.25`: coordinates (u, v) from the bottom left become (2 u + 0.5, 3 v + 0.25)."""
    _, asset = material_of(tmp_path, "map_Kd -s 2 3 1 -o 0.5 0.25 0 t.png")
    assert asset.mesh.uvs is not None
    assert {tuple(uv) for uv in asset.mesh.uvs.round(4).tolist()} == {(0.5, 0.25), (2.5, 0.25), (2.5, 3.25), (0.5, 3.25)}


@pytest.mark.parametrize(("name", "color"), [("b#2", (0, 0, 1)), ("a # red", (1, 0, 0)), ("", (1, 1, 1))])
def test_names_of_materials(tmp_path: Path, name: str, color: tuple[float, float, float]) -> None:
    (tmp_path / "a.mtl").write_text(MATERIAL.format("Kd 1 0 0"))
    (tmp_path / "a.obj").write_text("mtllib a.mtl\n" + QUAD + f"usemtl {name}\nf 1 2 3 4\n".replace(" \n", "\n"))
    mesh = read(tmp_path / "a.obj").mesh
    assert mesh.colors is not None
    np.testing.assert_allclose(mesh.colors.mean(0), color, atol=1e-6)


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (QUAD + "usemtl a\nf 1 2 3 4\n", "it names materials, and no file that has them"),
        (QUAD + "l 1 2\nf 1 2 3 4\n", "points, lines and curves are not drawn"),
        (QUAD + " l\t1 2\nf 1 2 3 4\n", "points, lines and curves are not drawn"),
        ("mtllib a.mtl\n" + QUAD + "usemtl a\nf 1 2 3 4\n", "have no texture coordinates"),
    ],
)
def test_what_an_obj_says_and_is_not_drawn_is_named(tmp_path: Path, text: str, note: str) -> None:
    material_of(tmp_path, "map_Kd t.png")
    (tmp_path / "a.obj").write_text(text)
    assert any(note in found for found in read(tmp_path / "a.obj").notes)


@pytest.mark.parametrize("size", [1e-9, 1e-5, 1.0, 1e6, 1e9])
def test_concave_polygons_of_any_size(size: float) -> None:
    points = np.array([[0, 0, 0], [4, 0, 0], [4, 4, 0], [2, 1, 0], [0, 4, 0]]) * size
    places, _ = triangulate(points, np.array([5]), np.arange(5))
    a, b, c = points[places.reshape(-1, 3)].transpose(1, 0, 2)
    area = np.cross(b - a, c - a)[:, 2] / 2 / size**2
    assert (area > 0).all()
    assert area.sum() == pytest.approx(10)


def test_texture_coordinates_of_one_number(tmp_path: Path) -> None:
    material_of(tmp_path, "map_Kd t.png")
    (tmp_path / "a.obj").write_text("mtllib a.mtl\n" + QUAD + "vt 0.25\nvt 0.75\nusemtl a\nf 1/1 2/2 3/2 4/1\n")
    uvs = read(tmp_path / "a.obj").mesh.uvs
    assert uvs is not None
    assert (uvs[:, 1] == 0).all()


def test_a_ply_with_two_textures_and_one_with_opacity(tmp_path: Path) -> None:
    """MeshLab numbers the texture of each face; `alpha` is an opacity."""
    for name, color in (("r.png", (255, 0, 0)), ("b.png", (0, 0, 255))):
        Image.new("RGB", (2, 2), color).save(tmp_path / name)
    square = "-1 -1 0\n1 -1 0\n1 1 0\n-1 1 0\n"
    head = "ply\nformat ascii 1.0\n{}element vertex 4\nproperty float x\nproperty float y\nproperty float z\n{}element face 2\n"
    (tmp_path / "two.ply").write_text(
        head.format("comment TextureFile r.png\ncomment TextureFile b.png\n", "")
        + "property list uchar int vertex_indices\nproperty list uchar float texcoord\nproperty int texnumber\nend_header \n"
        + square + "3 0 1 2 6 0 0 1 0 1 1 0\n3 0 2 3 6 0 0 1 1 0 1 1\n"
    )  # fmt: skip
    asset = read(tmp_path / "two.ply")
    assert asset.mesh.materials is not None
    assert [as_floats(asset.materials[m].base_color)[0, 0].tolist() for m in asset.mesh.materials] == [[1, 0, 0], [0, 0, 1]]
    colors = "".join(f"property uchar {name}\n" for name in ("Red", "Green", "Blue", "alpha"))
    (tmp_path / "glass.ply").write_text(
        head.format("", colors) + "property list uchar int vertex_indexes\nend_header\n"
        + square.replace("\n", " 255 0 0 51\n") + "3 0 1 2\n3 0 2 3\n"
    )  # fmt: skip
    mesh = read(tmp_path / "glass.ply").mesh
    assert mesh.colors is not None
    np.testing.assert_allclose(mesh.colors, [[1, 0, 0, 0.2]] * 4, atol=1e-6)


def test_strips_of_a_ply_are_triangles(tmp_path: Path) -> None:
    """Every second one the other way round, and -1 between two strips."""
    points = "".join(f"{x} {y} 0\n" for x in range(3) for y in range(2))
    (tmp_path / "a.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 6\nproperty float x\nproperty float y\nproperty float z\nelement tristrips 1\n"
        f"property list int int vertex_indices\nend_header\n{points}8 0 2 1 3 -1 2 4 3\n"
    )
    assert read(tmp_path / "a.ply").mesh.faces.shape == (3, 3)
    assert area(tmp_path / "a.ply") == pytest.approx(1.5)


@pytest.mark.parametrize("names", ["s t", "u v", "texture_u texture_v", "texture_s texture_t"])
def test_texture_coordinates_of_a_ply(tmp_path: Path, names: str) -> None:
    """From the bottom left, as in an OBJ."""
    Image.fromarray(np.array([[[255, 0, 0]], [[0, 0, 255]]], np.uint8)).save(tmp_path / "t.png")
    one, two = names.split()
    (tmp_path / "a.ply").write_text(
        "ply\nformat ascii 1.0\ncomment TextureFile t.png\nelement vertex 3\nproperty float x\nproperty float y\nproperty float z\n"
        f"property float {one}\nproperty float {two}\n{FACE}end_header\n0 0 0 0 0\n1 0 0 1 0\n0 1 0 0 1\n3 0 1 2\n"
    )
    asset = read(tmp_path / "a.ply")
    assert asset.mesh.uvs is not None
    assert asset.mesh.uvs.tolist() == [[0, 0], [1, 0], [0, 1]]
    assert as_floats(asset.material.base_color)[0, 0].tolist() == [1, 0, 0]  # the first row is the upper one


@pytest.mark.parametrize(
    ("header", "vertex", "note"),
    [
        ("comment TextureFile t.png\n", "", "its texture is not drawn: it has no texture coordinates"),
        (
            "comment TextureFile t.png\n",
            "property float s\nproperty float t\n" + COLOR,
            "colours of its vertices are not drawn where",
        ),
        (
            "comment TextureFile t.png\ncomment TextureFile t.png\n",
            "property float s\nproperty float t\n",
            "it has 2 textures, and the first",
        ),
        ("comment TextureFile gone.png\n", "property float s\nproperty float t\n", "`gone.png` is not there"),
    ],
)
def test_what_a_ply_says_and_is_not_drawn_is_named(tmp_path: Path, header: str, vertex: str, note: str) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "t.png")
    more = " 0" * vertex.count("property")
    head = HEAD.replace("element vertex", f"{header}element vertex")
    (tmp_path / "a.ply").write_text(head + vertex + FACE + f"end_header\n0 0 0{more}\n1 0 0{more}\n0 1 0{more}\n3 0 1 2\n")
    assert [found for found in read(tmp_path / "a.ply").notes if note in found]


@pytest.mark.parametrize(("values", "expected"), [("0 0 1", [0, 0, 1 / 255]), ("2 0 255", [2 / 255, 0, 1])])
def test_bytes_are_bytes_however_dark(tmp_path: Path, values: str, expected: list[float]) -> None:
    (tmp_path / "a.ply").write_text(ply("vertex_indices", "uchar", values))
    colors = read(tmp_path / "a.ply").mesh.colors
    assert colors is not None
    np.testing.assert_allclose(colors, [expected] * 4, atol=1e-6)


@pytest.mark.parametrize(("alpha", "columns"), [("255", 3), ("51", 4), ("0", 4)])
def test_opacity_that_says_nothing_is_none(tmp_path: Path, alpha: str, columns: int) -> None:
    (tmp_path / "a.ply").write_text(ply("vertex_indices", "uchar", f"255 0 0 {alpha}", "red green blue alpha"))
    asset = read(tmp_path / "a.ply")
    assert asset.mesh.colors is not None
    assert asset.mesh.colors.shape == (4, columns)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (HEAD.replace("ascii 1.0", "utf8 1.0") + FACE, "its format is `utf8`"),
        (HEAD.replace("float z", "number z") + FACE, "its header has a line that says nothing: `property number z`"),
        (HEAD.replace("property float z\n", "") + FACE, "it has no vertices with x, y and z"),
        (HEAD.replace("vertex 3", "vertex 999999999") + FACE, "it speaks of 999999999 rows"),
        (HEAD.replace("ply", "plz") + FACE, "it has no header of a PLY"),
    ],
)
def test_headers_that_are_none(tmp_path: Path, header: str, message: str) -> None:
    (tmp_path / "a.ply").write_text(header + "end_header\n0 0 0\n1 0 0\n0 1 0\n3 0 1 2\n")
    with pytest.raises(ExportError, match=message):
        read(tmp_path / "a.ply")


def test_the_folder_of_an_mtl_is_where_its_pictures_are(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    Image.new("RGB", (2, 2), (255, 0, 0)).save(tmp_path / "parts" / "t.png")
    (tmp_path / "parts" / "a.mtl").write_text("newmtl a\nmap_Kd t.png\n")
    (tmp_path / "a.obj").write_text("mtllib parts/a.mtl\n" + TEXTURED)
    asset = read(tmp_path / "a.obj")
    assert asset.notes == ()
    assert as_floats(asset.material.base_color)[0, 0].tolist() == [1, 0, 0]


def test_materials_that_are_not_there_are_named_and_the_opacity_map_too(tmp_path: Path) -> None:
    assert any("opacity map of its material `a`" in note for note in material_of(tmp_path, "map_d t.png\nmap_Kd t.png")[1].notes)
    (tmp_path / "a.obj").write_text("mtllib gone.mtl\n" + TEXTURED)
    assert "its materials `gone.mtl` are not there" in read(tmp_path / "a.obj").notes


def test_colours_of_vertices_in_bytes_are_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text("v 0 0 0 128 0 0\nv 1 0 0 255 0 0\nv 0 1 0 0 255 51\nf 1 2 3")
    colors = read(tmp_path / "a.obj").mesh.colors
    assert colors is not None
    np.testing.assert_allclose(colors, np.array([[128, 0, 0], [255, 0, 0], [0, 255, 51]]) / 255, atol=1e-6)


def test_one_number_of_a_scale_or_an_offset_is_that_of_the_first_axis(tmp_path: Path) -> None:
    _, asset = material_of(tmp_path, "map_Kd -s 2 -o 0.5 t.png")
    assert asset.mesh.uvs is not None
    assert {tuple(uv) for uv in asset.mesh.uvs.round(4).tolist()} == {(0.5, 0.0), (2.5, 0.0), (2.5, 1.0), (0.5, 1.0)}
