"""PLY, text or binary, with polygons of any number of corners and colours of any type and name.

trimesh refuses binary files whose polygons differ in their corners, and passes over colours that are not `red, green, blue` in
bytes; plyfile, which reads all of them, has a licence that does not go with df3d's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from df3d.mesh.srgb import to_linear
from df3d.system.cpu import kernel
from df3d.types import Material
from df3d_mesh.reading.beside import Beside
from df3d_mesh.reading.gltf_materials import WHITE, Coordinates, Painted
from df3d_mesh.reading.gltf_scene import Part
from df3d_mesh.reading.obj import find_picture, numbers_in
from df3d_mesh.reading.polygons import triangulate

TYPES = {
    **dict.fromkeys(("char", "int8"), "i1"), **dict.fromkeys(("uchar", "uint8"), "u1"),
    **dict.fromkeys(("short", "int16"), "i2"), **dict.fromkeys(("ushort", "uint16"), "u2"),
    **dict.fromkeys(("int", "int32"), "i4"), **dict.fromkeys(("uint", "uint32"), "u4"),
    **dict.fromkeys(("float", "float32"), "f4"), **dict.fromkeys(("double", "float64"), "f8"),
}  # fmt: skip
COLORS = (("red", "green", "blue"), ("diffuse_red", "diffuse_green", "diffuse_blue"), ("r", "g", "b"))
COORDINATES = (("s", "t"), ("u", "v"), ("texture_u", "texture_v"), ("texture_s", "texture_t"))
CORNERS = ("vertex_indices", "vertex_index", "vertex_indexes")
MOST = 100_000_000  # rows of an element


@dataclass
class Property:
    name: str
    kind: str  # numpy's name of its type
    count: str = ""  # of a list: the type of its length


@dataclass
class Element:
    name: str
    rows: int
    properties: list[Property] = field(default_factory=list)


@dataclass
class Header:
    format: str = ""
    elements: list[Element] = field(default_factory=list)
    textures: list[str] = field(default_factory=list)


Column = tuple[np.ndarray, np.ndarray | None]  # values, and of a list how many each row has


def read_ply(path: Path, beside: Beside, notes: list[str]) -> list[tuple[Part, Painted]]:
    """The mesh of a PLY.

    Raises ValueError when it is none.
    """
    data = path.read_bytes()
    header, start = _header(data)
    columns = _text(header, data[start:], notes) if header.format == "ascii" else _binary(header, data[start:])
    vertex = columns.get("vertex", {})
    if not all(axis in vertex for axis in "xyz"):
        raise ValueError("it has no vertices with x, y and z")
    vertices = np.stack([vertex[axis][0].astype(np.float64) for axis in "xyz"], axis=1)
    counts, corners = _polygons(columns)
    if len(corners) and (corners.min() < 0 or corners.max() >= len(vertices)):
        raise ValueError("its faces name vertices that it does not have")
    places, owners = triangulate(vertices, counts, corners)
    face = columns.get("face", {})
    paints = [_textured(name, beside, notes) for name in header.textures]
    wedge, number = face.get("texcoord"), face.get("texnumber")
    if len(paints) > 1 and number is not None and wedge is not None and wedge[1] is not None and (wedge[1] == 2 * counts).all():
        return _of_textures(vertices, corners, places, wedge[0], number[0][owners], paints)
    if len(paints) > 1:
        notes.append(f"it has {len(paints)} textures, and the first is drawn: it does not say which face has which")
    paint = paints[0] if paints else Painted(Material(WHITE), None)
    picture = paint.coordinates
    colors, of_faces = _colors(vertex), _colors(face)
    if colors is not None and colors.shape[1] == 4:
        paint = Painted(Material(WHITE, opacity=np.ones((1, 1), np.float32)), None) if picture is None else paint
    if colors is not None and of_faces is not None:
        if len(np.unique(colors, axis=0)) == 1:
            colors = None
        else:
            notes.append("the colours of its faces are not drawn: its vertices have some too")
    if wedge is not None and picture is not None and wedge[1] is not None and (wedge[1] == 2 * counts).all():
        uvs = wedge[0].reshape(-1, 2).astype(np.float32)[places].reshape(-1, 2)
        return [(_loose(vertices, corners, places, uvs, None), paint)]
    if colors is None and of_faces is not None and len(of_faces) == len(counts):
        return [(_loose(vertices, corners, places, None, np.repeat(of_faces[owners], 3, axis=0)), paint)]
    named = next((pair for pair in COORDINATES if all(name in vertex for name in pair)), None)
    sets = {}
    if named and picture is not None:
        uv = np.stack([vertex[name][0] for name in named], axis=1).astype(np.float32)
        sets = {0: np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1)}
    elif picture is not None:
        notes.append("its texture is not drawn: it has no texture coordinates")
        paint = Painted(Material(WHITE), None)
    if colors is not None and paint.coordinates is not None:
        notes.append("the colours of its vertices are not drawn where it has a texture")
        colors = None
    return [(Part(vertices, corners[places], None, sets, colors, None), paint)]


def _textured(name: str, beside: Beside, notes: list[str]) -> Painted:
    picture = find_picture(name, beside, notes)
    if picture is None:
        return Painted(Material(WHITE), None)
    return Painted(Material(np.ascontiguousarray(picture[..., :3])), Coordinates())


def _of_textures(
    vertices: np.ndarray, corners: np.ndarray, places: np.ndarray, wedge: np.ndarray, number: np.ndarray, paints: list[Painted]
) -> list[tuple[Part, Painted]]:
    """The triangles of each texture, which `number` (F,) names: MeshLab's way."""
    uvs = wedge.reshape(-1, 2).astype(np.float32)
    parts = []
    for which in np.unique(number):
        own = places[number == which]
        paint = paints[int(which)] if 0 <= which < len(paints) else Painted(Material(WHITE), None)
        parts.append((_loose(vertices, corners, own, uvs[own].reshape(-1, 2), None), paint))
    return parts


def _loose(
    vertices: np.ndarray, corners: np.ndarray, places: np.ndarray, uvs: np.ndarray | None, colors: np.ndarray | None
) -> Part:
    """Triangles that share no vertices, because each has its own colour or texture coordinates."""
    flat = corners[places].ravel()
    sets = {} if uvs is None else {0: np.stack([uvs[:, 0], 1 - uvs[:, 1]], axis=1)}
    return Part(vertices[flat], np.arange(len(flat)).reshape(-1, 3), None, sets, colors, None)


def _polygons(columns: dict[str, dict[str, Column]]) -> tuple[np.ndarray, np.ndarray]:
    """Corners of each polygon, and all of them in a row."""
    for element in ("face", "polygon"):
        for name in CORNERS:
            values, counts = columns.get(element, {}).get(name, (None, None))
            if values is not None and counts is not None:
                return counts, values.astype(np.int64)
    values, counts = next(iter(columns.get("tristrips", {}).values()), (None, None))
    if values is None or counts is None:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    triangles = []
    for strip in np.split(values.astype(np.int64), np.flatnonzero(values == -1)):
        strip = strip[strip >= 0]
        number = np.arange(max(len(strip) - 2, 0))
        odd = number % 2
        triangles.append(np.stack([strip[number], strip[number + 1 + odd], strip[number + 2 - odd]], axis=1))
    flat = np.concatenate(triangles) if triangles else np.zeros((0, 3), np.int64)
    return np.full(len(flat), 3), flat.ravel()


def _colors(columns: dict[str, Column]) -> np.ndarray | None:
    """(N, 3) float32, linear, with an opacity behind where it has one; None without colours.

    Bytes, wider whole numbers, floats to 1, and anything to 255 that is larger than 1.
    """
    for names in COLORS:
        if all(name in columns for name in names):
            values = np.stack([columns[name][0] for name in names], axis=1)
            most = float(values.max(initial=0))
            top = 255.0 if most <= 255 or values.dtype.kind == "f" else 65535.0 if most <= 65535 else 4294967295.0
            whole = values.dtype.kind in "iu" or values.max(initial=0) > 1
            found = to_linear((values / (top if whole else 1.0)).clip(0, 1)).astype(np.float32)
            alpha = columns.get("alpha", (np.zeros(0), None))[0]
            solid = len(alpha) != len(found) or bool((alpha == alpha.max(initial=0)).all() and alpha.max(initial=0) in (1, 255))
            return found if solid else np.column_stack([found, (alpha / (255.0 if alpha.dtype.kind in "iu" else 1.0)).clip(0, 1)])
    return None


def _header(data: bytes) -> tuple[Header, int]:
    """What the header says, and where the data begin."""
    last = re.search(rb"^[ \t]*end_header[ \t]*(\r\n|\n|\r)", data[: 1 << 20], re.MULTILINE)
    last = last or re.search(rb"\r[ \t]*end_header[ \t]*\r", data[: 1 << 20])
    if not data.removeprefix(b"\xef\xbb\xbf").startswith(b"ply") or last is None:
        raise ValueError("it has no header of a PLY")
    start = last.end()
    found = Header()
    for line in data[: last.start()].decode("utf-8", "replace").splitlines():
        words = line.split()
        if not words:
            continue
        if words[0] == "format":
            found.format = words[1]
        elif words[0] == "comment" and len(words) > 2 and words[1].lower() == "texturefile":
            found.textures.append(line.split(None, 2)[2].strip())
        elif words[0] == "element":
            found.elements.append(Element(words[1], int(words[2])))
            if not 0 <= found.elements[-1].rows <= MOST:
                raise ValueError(f"it speaks of {words[2]} rows")
        elif words[0] == "property":
            kinds = [TYPES.get(word) for word in words[1:-1] if word != "list"]
            if not found.elements or None in kinds or len(kinds) != (2 if words[1] == "list" else 1):
                raise ValueError(f"its header has a line that says nothing: `{line.strip()[:60]}`")
            found.elements[-1].properties.append(
                Property(words[-1].lower(), str(kinds[-1]), str(kinds[0]) if len(kinds) == 2 else "")
            )
    if found.format not in ("ascii", "binary_little_endian", "binary_big_endian"):
        raise ValueError(f"its format is `{found.format}`, which PLY does not have")
    return found, start


def _binary(header: Header, data: bytes) -> dict[str, dict[str, Column]]:
    order = "<" if header.format == "binary_little_endian" else ">"
    raw, at = np.frombuffer(data, np.uint8), 0
    found: dict[str, dict[str, Column]] = {}
    for element in header.elements:
        kinds = [(np.dtype(order + p.kind), np.dtype(order + p.count) if p.count else None) for p in element.properties]
        if not any(count for _, count in kinds):
            row = np.dtype([(f"{i}", kind) for i, (kind, _) in enumerate(kinds)])
            if at + row.itemsize * element.rows > len(raw):
                raise ValueError(f"it is cut short: the data of `{element.name}` are not all there")
            table = np.frombuffer(data, row, element.rows, at)
            found[element.name] = {p.name: (table[f"{i}"], None) for i, p in enumerate(element.properties)}
            at += row.itemsize * element.rows
            continue
        if (alike := _alike(data, at, element, kinds)) is not None:
            found[element.name] = {
                p.name: (alike[f"{i}"].ravel(), np.full(element.rows, alike[f"{i}"].shape[1]) if p.count else None)
                for i, p in enumerate(element.properties)
            }
            at += alike.nbytes
            continue
        sizes = np.array([kind.itemsize for kind, _ in kinds])
        lengths = np.array([count.itemsize if count else 0 for _, count in kinds])
        begin, count, end = _walk(raw, at, element.rows, sizes, lengths, order == "<")
        at = int(end)
        if at < 0:
            raise ValueError(f"it is cut short: the data of `{element.name}` are not all there")
        found[element.name] = {
            p.name: _gathered(raw, begin[:, i], count[:, i], kind, is_list=length is not None)
            for i, (p, (kind, length)) in enumerate(zip(element.properties, kinds, strict=True))
        }
    return found


def _alike(data: bytes, at: int, element: Element, kinds: list[tuple[np.dtype, np.dtype | None]]) -> np.ndarray | None:
    """The rows as a table where all their lists are as long as the first row's: triangles, as most files have them."""
    fields: list[tuple[str, np.dtype] | tuple[str, np.dtype, tuple[int, ...]]] = []
    place, lengths = at, {}
    for i, (kind, count) in enumerate(kinds):
        if count is None:
            fields.append((f"{i}", kind))
            place += kind.itemsize
            continue
        if place + count.itemsize > len(data):
            return None
        lengths[i] = int(np.frombuffer(data, count, 1, place)[0])
        if not 0 < lengths[i] < 256:
            return None
        fields += [(f"count {i}", count), (f"{i}", kind, (lengths[i],))]
        place += count.itemsize + kind.itemsize * lengths[i]
    row = np.dtype(fields)
    if at + row.itemsize * element.rows > len(data):
        return None
    table = np.frombuffer(data, row, element.rows, at)
    return table if all((table[f"count {i}"] == length).all() for i, length in lengths.items()) else None


@kernel
def _walk(raw, at, rows, sizes, lengths, little):  # type: ignore[no-untyped-def]
    """Where each property of each row begins, how many values it has, and where all end; -1 where the data do not suffice."""
    begin = np.zeros((rows, sizes.shape[0]), np.int64)
    count = np.ones((rows, sizes.shape[0]), np.int64)
    for row in range(rows):
        for p in range(sizes.shape[0]):
            if lengths[p] > 0:
                if at + lengths[p] > raw.shape[0]:
                    return begin, count, -1
                number = np.int64(0)
                for b in range(lengths[p]):
                    number += np.int64(raw[at + b]) << (8 * (b if little else lengths[p] - 1 - b))
                count[row, p] = number
                at += lengths[p]
            begin[row, p] = at
            if count[row, p] < 0 or count[row, p] > raw.shape[0]:
                return begin, count, -1
            at += sizes[p] * count[row, p]
            if at > raw.shape[0]:
                return begin, count, -1
    return begin, count, at


def _gathered(raw: np.ndarray, begin: np.ndarray, count: np.ndarray, kind: np.dtype, *, is_list: bool) -> Column:
    """The values of one property of all rows, one row after the other."""
    size = kind.itemsize
    first = np.repeat(begin, count)
    within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    places = (first + within * size)[:, None] + np.arange(size)
    return np.ascontiguousarray(raw[places]).view(kind)[:, 0], count if is_list else None


def _text(header: Header, data: bytes, notes: list[str]) -> dict[str, dict[str, Column]]:
    try:
        return _columns(header, data.decode("ascii", "replace"))
    except ValueError as error:
        lines = [line.split() for line in data.decode("ascii", "replace").splitlines() if line.strip()]
        if len(lines) != sum(element.rows for element in header.elements) or "cut short" in str(error):
            raise
    rows, kept = iter(lines), []
    for element in header.elements:
        for _ in range(element.rows):
            row, at = next(rows), 0
            for p in element.properties:
                at += 1 + int(row[at]) if p.count else 1
            kept.append(" ".join(row[:at]))
    notes.append("its rows hold more than its header says; what is more is left out")
    return _columns(header, "\n".join(kept))


def _columns(header: Header, text: str) -> dict[str, dict[str, Column]]:
    """The numbers of a text under their names.

    Raises ValueError when there are too few or too many, or other words.
    """
    try:
        numbers = numbers_in(text, np.float64)
    except ValueError:
        raise ValueError("its data hold a word that is no number") from None
    found, at = dict[str, dict[str, Column]](), 0
    for element in header.elements:
        is_list = np.array([bool(p.count) for p in element.properties])
        begin, count, end = _walk_numbers(numbers, at, element.rows, is_list)
        at = int(end)
        if at < 0:
            raise ValueError(f"it is cut short: the data of `{element.name}` are not all there")
        found[element.name] = {
            p.name: _numbers(numbers, begin[:, i], count[:, i], np.dtype(p.kind), is_list=bool(p.count))
            for i, p in enumerate(element.properties)
        }
    if at < len(numbers):
        raise ValueError(f"its data hold {len(numbers) - at} numbers more than its header says")
    return found


def _numbers(numbers: np.ndarray, begin: np.ndarray, count: np.ndarray, kind: np.dtype, *, is_list: bool) -> Column:
    within = np.arange(int(count.sum())) - np.repeat(np.cumsum(count) - count, count)
    values = numbers[np.repeat(begin, count) + within]
    return values.astype(kind) if kind.kind == "f" or np.isfinite(values).all() else values, count if is_list else None


@kernel
def _walk_numbers(numbers, at, rows, is_list):  # type: ignore[no-untyped-def]
    """As `_walk`, of numbers in a row."""
    begin = np.zeros((rows, is_list.shape[0]), np.int64)
    count = np.ones((rows, is_list.shape[0]), np.int64)
    for row in range(rows):
        for p in range(is_list.shape[0]):
            if is_list[p]:
                if at >= numbers.shape[0] or not 0 <= numbers[at] <= numbers.shape[0]:
                    return begin, count, -1
                count[row, p] = np.int64(numbers[at])
                at += 1
            begin[row, p] = at
            at += count[row, p]
            if at > numbers.shape[0]:
                return begin, count, -1
    return begin, count, at
