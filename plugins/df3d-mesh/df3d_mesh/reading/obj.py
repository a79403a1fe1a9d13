"""Wavefront OBJ with its MTL, as programs write them and not only as the old specification says.

trimesh stumbles over tabs, indentation and comments, draws concave polygons as fans and drops the colours of vertices beside a
material; other readers for Python drop materials or colours too.
"""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import ImageOps

from df3d.mesh.finished import to_linear
from df3d.types import Material
from df3d_mesh.reading.beside import Beside
from df3d_mesh.reading.gltf_materials import WHITE, Coordinates, Painted, as_array
from df3d_mesh.reading.gltf_scene import Part
from df3d_mesh.reading.polygons import triangulate

NUMBERS = {  # of values behind an option of a map (MTL, "Texture map options")
    **dict.fromkeys(("-blendu", "-blendv", "-bm", "-boost", "-cc", "-clamp", "-imfchan", "-texres", "-type"), 1),
    "-mm": 2, "-o": 3, "-s": 3, "-t": 3,
}  # fmt: skip


@dataclass
class Text:
    """The lines of an OBJ by their kind."""

    vertices: list[str] = field(default_factory=list)
    coordinates: list[str] = field(default_factory=list)
    faces: list[str] = field(default_factory=list)
    seen: list[tuple[int, int]] = field(default_factory=list)  # vertices and coordinates before each of the first faces
    material: list[int] = field(default_factory=list)  # of each face
    names: list[str] = field(default_factory=lambda: [""])  # of materials
    libraries: list[str] = field(default_factory=list)


def read_obj(path: Path, beside: Beside, notes: list[str]) -> list[tuple[Part, Painted]]:
    """The faces of each material.

    Raises ValueError when it is no OBJ.
    """
    text = _lines(path.read_bytes())
    numbers = _table(text.vertices, "v")
    if len(numbers) and numbers.shape[1] not in (3, 4, 6, 7):
        raise ValueError(f"its vertices have {numbers.shape[1]} numbers each, where 3 are meant")
    vertices = numbers[:, :3] if len(numbers) else np.zeros((0, 3))
    colors = numbers[:, -3:] if len(numbers) and numbers.shape[1] >= 6 else None
    coordinates = _table(text.coordinates, "vt")[:, :2] if text.coordinates else np.zeros((0, 2))
    counts, corners, places = _faces(text)
    if len(corners) and corners.max() >= len(vertices):
        raise ValueError(f"a face of it names vertex {corners.max() + 1}, and it has {len(vertices)}")
    if (missing := places >= len(coordinates)).any():
        notes.append("some of its faces name texture coordinates that it does not have, and are drawn without")
        places = np.where(missing, -1, places)
    triangles, owners = triangulate(vertices, counts, corners)
    which = np.array(text.material, np.int64)[owners] if len(owners) else np.zeros(0, np.int64)
    materials = _materials(text.libraries, beside, notes)
    found = []
    for number in np.unique(which):
        name = text.names[number]
        if name and name not in materials and materials:
            notes.append(f"its material `{name}` is not in its MTL")
        paint = materials.get(name, Painted(Material(WHITE), None))
        part = _part(triangles[which == number], vertices, coordinates, corners, places, colors, paint)
        if colors is not None and paint.coordinates is not None:
            notes.append("the colours of its vertices are not drawn where it has a texture")
        found.append((part, _without_color(paint) if part.colors is not None else paint))
    return found


def _part(
    triangles: np.ndarray,
    vertices: np.ndarray,
    coordinates: np.ndarray,
    corners: np.ndarray,
    places: np.ndarray,
    colors: np.ndarray | None,
    paint: Painted,
) -> Part:
    """Triangles with a vertex for each pair of a place and a texture coordinate."""
    textured = paint.coordinates is not None and len(coordinates) > 0
    if not textured and colors is None and len(triangles) * 3 == len(corners):  # all that there is
        return Part(vertices, corners[triangles], None, {}, None, None)
    key = corners[triangles] * (len(coordinates) + 1) + (places[triangles] + 1 if textured else 0)
    unique, faces = np.unique(key, return_inverse=True)
    at, uv = np.divmod(unique, len(coordinates) + 1)
    uvs = np.zeros((len(at), 2), np.float32)
    if textured:
        known = uv > 0
        uvs[known] = coordinates[uv[known] - 1] * (1, -1) + (0, 1)  # from the bottom left to the top left
    tint = None
    if colors is not None and paint.coordinates is None:
        scaled = colors / 255 if colors.max(initial=0) > 1 else colors
        tint = to_linear(scaled.clip(0, 1))[at].astype(np.float32)
    return Part(vertices[at], faces.reshape(-1, 3), None, {0: uvs}, tint, None)


def _without_color(paint: Painted) -> Painted:
    """White: the colours of the vertices say it all."""
    return Painted(Material(WHITE, opacity=paint.material.opacity), None)


def _lines(data: bytes) -> Text:
    """Sorts the lines of a file in any encoding, however they end, begin and are commented."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        whole = data.decode("utf-16", "replace")
    else:
        whole = data.decode("utf-8-sig", "surrogateescape")
    whole = whole.replace("\0", " ").replace("\r\n", "\n").replace("\r", "\n")
    if "\\" in whole:
        whole = re.sub(r"\\[ \t]*\n", " ", whole)
    if "#" in whole:
        whole = re.sub(r"#.*", "", whole)
    found = Text(_values("v", whole), _values("vt", whole), libraries=_values("mtllib", whole))
    blocks = re.split(r"^[ \t]*usemtl[ \t]+(.*)$", whole, flags=re.MULTILINE) if "usemtl" in whole else [whole]
    numbers, before = {"": 0}, (0, 0)
    for name, block in zip(["", *blocks[1::2]], blocks[::2], strict=True):
        current = numbers.setdefault(name.strip(), len(numbers))
        faces = _values("f", block)
        found.faces += faces
        found.material += [current] * len(faces)
        if any("-" in face for face in faces):
            found.seen += [(0, 0)] * (len(found.faces) - len(faces) - len(found.seen)) + _seen(block, before)
        if len(blocks) > 1:
            before = before[0] + len(_values("v", block)), before[1] + len(_values("vt", block))
    found.names = list(numbers)
    return found


def _values(key: str, text: str) -> list[str]:
    """What stands behind a key, line by line."""
    return re.findall(rf"^[ \t]*{key}[ \t]+(.*\S)", text, re.MULTILINE)


def _seen(block: str, before: tuple[int, int]) -> list[tuple[int, int]]:
    """How many vertices and texture coordinates stand before each face: negative numbers count back from there."""
    vertices, coordinates = before
    found = []
    for key in re.findall(r"^[ \t]*(v|vt|f)[ \t]", block, re.MULTILINE):
        vertices, coordinates = vertices + (key == "v"), coordinates + (key == "vt")
        if key == "f":
            found.append((vertices, coordinates))
    return found


def _table(rows: list[str], what: str) -> np.ndarray:
    """(N, K) of rows of numbers, with as many columns as all have.

    Raises ValueError, with the row, when one holds none.
    """
    if not rows:
        return np.zeros((0, 3))
    width = len(rows[0].split())
    try:
        values = numbers_in(" ".join(rows), np.float64)
        if width * len(rows) == len(values):
            return values.reshape(len(rows), width)
    except ValueError:
        pass
    table = []
    for number, row in enumerate(rows, start=1):
        try:
            table.append([float(word) for word in row.split()])
        except ValueError:
            raise ValueError(f"line {number} of its `{what}` is `{row.strip()[:40]}`, which are no numbers") from None
    if what == "v" and {len(row) for row in table} == {3, 6}:
        return np.array([[*row, 1.0, 1.0, 1.0][:6] for row in table])  # some have a colour, the others are white
    least = min(map(len, table))
    if least < (3 if what == "v" else 1):
        raise ValueError(f"a `{what}` of it has {least} numbers")
    least = least if what != "v" or least in (3, 4, 6, 7) else 3
    return np.array([row[:least] if what == "v" else [*row, 0.0][:2] for row in table])


def numbers_in(text: str, kind: type) -> np.ndarray:
    """The numbers of a text.

    Raises ValueError when a word of it is none.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # which is how numpy says so
        try:
            return np.fromstring(text, kind, sep=" ")
        except DeprecationWarning:
            raise ValueError("a word is no number") from None


def _faces(text: Text) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N,) corners of each polygon; of all corners in a row the vertex, and the texture coordinate or -1; from 0 on.

    Raises ValueError when a face is no face.
    """
    if not text.faces:
        return np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, np.int64)
    lines = "\n".join(text.faces)
    if "\t" in lines or "  " in lines:
        lines = re.sub(r"[ \t]+", " ", lines)
    raw = np.frombuffer((lines + "\n").encode("ascii", "replace"), np.uint8)
    before = np.searchsorted(np.flatnonzero(raw == ord(" ")), np.flatnonzero(raw == ord("\n")))  # spaces before each line's end
    counts = np.diff(before, prepend=0) + 1
    joined, corner_count = lines.replace("\n", " "), int(counts.sum())
    try:
        slashes, all_told = joined.count("/"), "//" not in joined and "/ " not in joined
        if not slashes:
            corners, places = numbers_in(joined, np.int64), np.zeros(corner_count, np.int64)
        elif (
            slashes == 2 * corner_count
            and all_told
            and len(split := numbers_in(joined.replace("/", " "), np.int64)) == 3 * corner_count
        ):
            corners, places, _ = split.reshape(-1, 3).T
        elif slashes == corner_count and all_told and not re.search(r"(^| )-?\d+( |$)", joined):
            corners, places = numbers_in(joined.replace("/", " "), np.int64).reshape(-1, 2).T
        else:
            pairs = [(*word.split("/"), "")[:2] for word in joined.split(" ")]
            corners = np.array([int(first) for first, _ in pairs], np.int64)
            places = np.array([int(second or 0) for _, second in pairs], np.int64)
    except (ValueError, OverflowError):
        raise ValueError("a face of it is no list of whole numbers") from None
    if (corners == 0).any():
        raise ValueError("a face of it names vertex 0, and OBJ counts from 1: its writer counted from 0")
    if text.seen:  # negative numbers count back from there
        seen = np.array(text.seen + [(0, 0)] * (len(counts) - len(text.seen)), np.int64)
        vertices, coordinates = np.repeat(seen, counts, axis=0).T
        corners, places = (
            np.where(corners < 0, vertices + corners + 1, corners),
            np.where(places < 0, coordinates + places + 1, places),
        )
    corners, places = corners - 1, places - 1
    if (corners < 0).any() or (places < -1).any():
        raise ValueError("a face of it counts back beyond the first vertex")
    return counts, corners, places


# ---------------------------------------------------------------------------------------------- MTL
def _materials(libraries: list[str], beside: Beside, notes: list[str]) -> dict[str, Painted]:
    found: dict[str, Painted] = {}
    for told in libraries:
        names = [told] if beside.has(told) else told.split()
        for name in names:
            try:
                data = beside[name]
            except FileNotFoundError:
                notes.append(f"its materials `{name}` are not there")
                continue
            found |= {
                key: _painted(key, lines, beside, notes) for key, lines in _entries(data.decode("utf-8-sig", "surrogateescape"))
            }
    return found


def _entries(text: str) -> Iterator[tuple[str, dict[str, str]]]:
    """The lines of each `newmtl` by their first word, in small letters."""
    name, lines = "", dict[str, str]()
    for line in re.sub(r"\\[ \t]*(\r\n|\n|\r)", " ", text).splitlines():
        words = line.strip().split(None, 1)
        if len(words) == 2 and not words[0].startswith("#"):
            if words[0].lower() == "newmtl":
                if lines or name:
                    yield name, lines
                name, lines = words[1].strip(), dict[str, str]()
            else:
                lines[words[0].lower()] = words[1].strip()
    yield name, lines


def _painted(name: str, lines: dict[str, str], beside: Beside, notes: list[str]) -> Painted:
    solid = _number(lines.get("d", ""), 1.0) if "d" in lines else 1.0 - _number(lines.get("tr", ""), 0.0)
    opacity = None if solid >= 1 or solid <= 0 else np.full((1, 1), solid, np.float32)  # many write 0 for solid
    if "map_d" in lines:
        notes.append(f"the opacity map of its material `{name}` is not drawn")
    if "map_kd" in lines:
        image = find_picture(_behind_options(lines["map_kd"]), beside, notes)
        if image is not None:
            alpha = None if opacity is None else np.full(image.shape[:2], round(solid * 255), np.uint8)
            return Painted(Material(image, opacity=alpha), Coordinates())
    words = lines.get("kd", "1 1 1").split()
    color = [_number(word, 1.0) for word in words] if len(words) == 3 else [1.0, 1.0, 1.0]
    return Painted(Material(np.array(color, np.float32).clip(0, 1)[None, None], opacity=opacity), None)


def _number(word: str, otherwise: float) -> float:
    try:
        return float(word.split()[-1])
    except (ValueError, IndexError):
        return otherwise


def find_picture(name: str, beside: Beside, notes: list[str]) -> np.ndarray | None:
    """(H, W, 3) uint8 of a picture beside a file; None, with a note, when it is not there or damaged."""
    picture = beside.picture(name, lambda: beside[name], notes)
    return None if picture is None else np.ascontiguousarray(as_array(ImageOps.exif_transpose(picture))[..., :3])


def _behind_options(told: str) -> str:
    """`-s 1 1 1 -clamp on wood.png` without what stands before the name."""
    while told.startswith("-"):
        option, _, rest = told.partition(" ")
        for _ in range(NUMBERS.get(option, 1)):
            head, _, tail = rest.strip().partition(" ")
            if option in ("-o", "-s", "-t") and not re.fullmatch(r"[-+.\deE]+", head):
                break
            rest = tail
        told = rest.strip()
    return shlex.split(told)[0] if told.startswith('"') and told.count('"') == 2 else told
