"""Wavefront OBJ with its MTL, as programs write them and not only as the old specification says.

trimesh stumbles over tabs, indentation and comments, draws concave polygons as fans and drops the colours of vertices beside a
material; other readers for Python drop materials or colours too.
"""

from __future__ import annotations

import re
import shlex
import warnings
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import ImageOps

from df3d.mesh.srgb import to_linear
from df3d.types import Material, Wrap
from df3d_mesh.reading.beside import Beside
from df3d_mesh.reading.gltf_materials import WHITE, Coordinates, Painted, as_array, mixed
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
    other: bool = False  # whether there are points, lines or curves


def read_obj(path: Path, beside: Beside, notes: list[str]) -> list[tuple[Part, Painted]]:
    """The faces of each material.

    Raises ValueError when it is no OBJ.
    """
    text = _lines(path.read_bytes())
    numbers = _table(text.vertices, "v")
    if len(numbers) and numbers.shape[1] not in (3, 4, 6, 7):
        raise ValueError(f"its vertices have {numbers.shape[1]} numbers each, where 3 are meant")
    vertices = numbers[:, :3] if len(numbers) else np.zeros((0, 3))
    colors = None
    if len(numbers) and numbers.shape[1] >= 6:  # x y z r g b, with a weight of 1 before the colour or an opacity behind it
        colors = numbers[:, 4:7] if numbers.shape[1] == 7 and (numbers[:, 3] == 1).all() else numbers[:, 3:6]
    coordinates = _table(text.coordinates, "vt") if text.coordinates else np.zeros((0, 2))
    coordinates = np.pad(coordinates, ((0, 0), (0, max(0, 2 - coordinates.shape[1]))))[:, :2]  # v may be left out
    if text.other:
        notes.append("its points, lines and curves are not drawn")
    counts, corners, places = _faces(text)
    if len(corners) and corners.max() >= len(vertices):
        raise ValueError(f"a face of it names vertex {corners.max() + 1}, and it has {len(vertices)}")
    if (missing := places >= len(coordinates)).any():
        notes.append("some of its faces name texture coordinates that it does not have, and are drawn without")
        places = np.where(missing, -1, places)
    triangles, owners = triangulate(vertices, counts, corners)
    which = np.array(text.material, np.int64)[owners] if len(owners) else np.zeros(0, np.int64)
    materials = _materials(text.libraries, beside, notes)
    if not text.libraries and any(text.names):
        notes.append("it names materials, and no file that has them: it is drawn white")
    found = []
    for number in np.unique(which):
        name = text.names[number]
        name = name if name in materials else name.split("#")[0].strip()  # what stands behind # may be a comment
        if name and name not in materials and materials:
            notes.append(f"its material `{name}` is not in its MTL")
        paint = materials.get(name, Painted(Material(WHITE), None))
        if paint.coordinates is not None and (places[triangles[which == number]] < 0).any():
            notes.append(f"faces of its material `{name}` have no texture coordinates, and one colour of its texture")
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
    whole = in_any_encoding(data)
    whole = "\n" + whole.replace("\0", " ").replace("\r\n", "\n").replace("\r", "\n")
    if "\\" in whole:
        whole = re.sub(r"\\[ \t]*\n", " ", whole)
    if "#" in whole:  # names may hold one
        text = whole
        whole = re.sub(r"#.*", lambda found: found[0] if _names(text, found.start()) else "", text)
    found = Text(_values("v", whole), _values("vt", whole), libraries=_values("mtllib", whole))
    found.other = re.search(r"\n[ \t]*(?:p|l|curv2?|surf|call)[ \t]+\S", whole) is not None
    blocks = re.split(r"^[ \t]*usemtl(?:[ \t]+(.*))?$", whole, flags=re.MULTILINE) if "usemtl" in whole else [whole]
    numbers, before = {"": 0}, (0, 0)
    for name, block in zip(["", *blocks[1::2]], blocks[::2], strict=True):
        current = numbers.setdefault((name or "").strip(), len(numbers))
        faces = _values("f", block)
        found.faces += faces
        found.material += [current] * len(faces)
        if any("-" in face for face in faces):
            found.seen += [(0, 0)] * (len(found.faces) - len(faces) - len(found.seen)) + _seen(block, before)
        if len(blocks) > 1:
            before = before[0] + len(_values("v", block)), before[1] + len(_values("vt", block))
    found.names = list(numbers)
    return found


def _names(text: str, place: int) -> bool:
    """Whether the line around a place names materials."""
    return text[text.rfind("\n", 0, place) + 1 : place].lstrip().startswith(("usemtl", "mtllib"))


def in_any_encoding(data: bytes) -> str:
    """A text in UTF-8, or in UTF-16, which begins with its mark or has every other byte zero."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    for place, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        half = data[place:2000:2]
        if len(half) > 8 and half.count(0) > 0.9 * len(half):
            return data.decode(name, "replace")
    return data.decode("utf-8-sig", "surrogateescape")


def _values(key: str, text: str) -> list[str]:
    """What stands behind a key, line by line. `text` begins with a line's end, which is what is quick to search for."""
    return re.findall(rf"\n[ \t]*{key}[ \t]+(.*\S)", text)


def _seen(block: str, before: tuple[int, int]) -> list[tuple[int, int]]:
    """How many vertices and texture coordinates stand before each face: negative numbers count back from there."""
    vertices, coordinates = before
    found = []
    for key in re.findall(r"^[ \t]*(v|vt|f)[ \t]+\S", block, re.MULTILINE):
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
            table.append([float(word.replace("_", "no number")) for word in row.split()])
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
        elif slashes == corner_count and all_told and _one_each(raw):
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


def _one_each(raw: np.ndarray) -> bool:
    """Whether there is a slash in each word of a text's bytes, if there are as many slashes as words."""
    marks = raw[(raw == ord("/")) | (raw == ord(" ")) | (raw == ord("\n"))]
    return bool((marks[::2] == ord("/")).all())


# ---------------------------------------------------------------------------------------------- MTL
def _materials(libraries: list[str], beside: Beside, notes: list[str]) -> dict[str, Painted]:
    found: dict[str, Painted] = {}
    for told in libraries:
        whole = [name for name in (told, told.strip('"'), told.split("#")[0].strip()) if beside.has(name)]
        for name in whole[:1] or told.split("#")[0].split():
            try:
                data = beside[name]
            except FileNotFoundError:
                notes.append(f"its materials `{name}` are not there")
                continue
            folder = name.replace("\\", "/").rpartition("/")[0]
            found |= {key: _Mtl(key, lines, folder, beside, notes).painted() for key, lines in _entries(in_any_encoding(data))}
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


@dataclass
class _Mtl:
    """One material of an MTL, as it is drawn: Kd times map_Kd, and Ke times map_Ke, the light of its own."""

    name: str
    lines: dict[str, str]
    folder: str  # of the MTL, within that of the OBJ
    beside: Beside
    notes: list[str]

    def painted(self) -> Painted:
        solid = self._first("d", 1.0) if "d" in self.lines else 1.0 - self._first("tr", 0.0)
        solid = solid if 0 < solid < 1 else 1.0  # many write 0 for solid
        if "map_d" in self.lines:
            self.notes.append(f"the opacity map of its material `{self.name}` is not drawn")
        (picture, place, wrap, gain), (shine, shine_place, *_) = self._map("map_kd"), self._map("map_ke")
        color, glow = self._color("kd", 1.0), self._color("ke", 1.0 if shine is not None else 0.0)
        if picture is not None and not any(color):
            color = (1.0, 1.0, 1.0)  # many write 0 beside a picture
        if picture is not None and shine is not None and shine_place != place:
            self.notes.append(f"the light of its own of material `{self.name}` lies otherwise than its colours, and is not drawn")
            shine, glow = None, (0.0, 0.0, 0.0)
        factor = np.array([*to_linear(np.array(color).clip(0, 1)), solid])
        if picture is not None and gain != (0.0, 1.0):
            tinted = (gain[0] + gain[1] * (picture[..., :3] / 255)).clip(0, 1) * 255
            picture = np.concatenate([tinted.round().astype(np.uint8), picture[..., 3:]], axis=2)
        rgb, alpha = mixed(picture, factor, shine, to_linear(np.array(glow).clip(0, 1)))
        coordinates = place if picture is not None else shine_place if shine is not None else None
        return Painted(Material(rgb, opacity=None if solid == 1 else alpha, wrap=(wrap, wrap)), coordinates)

    def _color(self, key: str, otherwise: float) -> tuple[float, float, float]:
        """The colour behind a key; one number is a grey."""
        words = self.lines.get(key, "").split("#")[0].split()
        if not words:
            return (otherwise, otherwise, otherwise)
        try:
            red, green, blue = (float(word) for word in (words * 3 if len(words) == 1 else words)[:3])
            return red, green, blue
        except ValueError:
            self.notes.append(f"the `{key.capitalize()}` of its material `{self.name}` is no colour that is known")
            return (otherwise, otherwise, otherwise)

    def _first(self, key: str, otherwise: float) -> float:
        """The first number behind a key."""
        for word in self.lines.get(key, "").split("#")[0].split():
            with suppress(ValueError):
                return float(word)
        return otherwise

    def _map(self, key: str) -> tuple[np.ndarray | None, Coordinates, Wrap, tuple[float, float]]:
        """The picture of a map, (H, W, 4) uint8; where it lies, how it goes on, and its base and gain."""
        told, options = _options(self.lines.get(key, ""))
        (across, up), (right, above) = options.get("-s", (1.0, 1.0)), options.get("-o", (0.0, 0.0))
        place = Coordinates(offset=(right, 1.0 - up - above), scale=(across, up))  # from the bottom left to the top left
        wrap: Wrap = "clamp" if "-clamp" in options else "repeat"
        if told and "-clamp" in options:
            self.notes.append(f"beyond the texture of its material `{self.name}` the texture's edge goes on")
        if not told:
            return None, place, wrap, (0.0, 1.0)
        tried = dict.fromkeys((told, f"{self.folder}/{told}", told.split(" #")[0], f"{self.folder}/{told.split(' #')[0]}"))
        picture = find_picture(next((name for name in tried if self.beside.has(name)), told), self.beside, self.notes)
        return picture, place, wrap, options.get("-mm", (0.0, 1.0))


def find_picture(name: str, beside: Beside, notes: list[str]) -> np.ndarray | None:
    """(H, W, 4) uint8 of a picture beside a file, solid; None, with a note, when it is not there or damaged."""
    picture = beside.picture(name, lambda: beside[name], notes)
    if picture is None:
        return None
    found = as_array(ImageOps.exif_transpose(picture)).copy()
    found[..., 3] = 255
    return found


def _options(told: str) -> tuple[str, dict[str, tuple[float, float]]]:
    """`-s 1 1 1 -clamp on wood.png`: the name, and the first two numbers of each option (MTL, "Texture map options")."""
    found: dict[str, tuple[float, float]] = {}
    while told.startswith("-"):
        option, _, rest = told.partition(" ")
        numbers: list[float] = []
        for _ in range(NUMBERS.get(option, 1)):
            head, _, tail = rest.strip().partition(" ")
            if option in ("-o", "-s", "-t") and not re.fullmatch(r"[-+.\deE]+", head):
                break
            with suppress(ValueError):
                numbers.append(float(head))
            if head == "on":
                numbers.append(1.0)
            rest = tail
        if numbers:
            missing = 1.0 if option == "-s" else 0.0
            found[option] = (numbers[0], numbers[1] if len(numbers) > 1 else missing)
        told = rest.strip()
    return (shlex.split(told)[0] if told.startswith('"') and told.count('"') == 2 else told), found
