"""Generated files as three.js draws them: every feature of glTF that has a say in shape or colour, in any company.

`DF3D_EXAMPLES=1000 pytest plugins/df3d-mesh/tests/test_three.py` tries more of them.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from df3d_mesh.reading.importer import read
from gltf_file import QUARTERS, File
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from threejs import BROWSER, Three, cameras, likeness, ours, placed, three

from df3d.plugin.catalog import Catalog

pytestmark = [
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
    pytest.mark.slow,
    pytest.mark.skipif(not BROWSER or not shutil.which("npm"), reason="needs Chromium and npm"),
]
many = settings(
    max_examples=int(os.environ.get("DF3D_EXAMPLES", "15")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
VIEWS = cameras(160)


@pytest.fixture(scope="module")
def browser() -> Iterator[Three]:
    with three() as it:
        yield it


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    return Catalog.discover()


def assert_alike(path: Path, browser: Three, catalog: Catalog, mtl: str | None = None, *, least: float = 0.97) -> None:
    asset = read(path)
    mine, theirs = ours(asset, VIEWS, catalog), browser.draw(path, VIEWS, *placed(asset), mtl)
    iou, colour = likeness(mine, theirs)
    assert iou > least, (iou, asset.notes)
    assert colour < 0.06 or asset.notes, colour  # what cannot be drawn is named


# ---------------------------------------------------------------------------------------------- glTF
BOX = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float32) * (0.9, 0.6, 0.3)
SIDES = [(1, 5, 7, 3), (4, 0, 2, 6), (5, 4, 6, 7), (0, 1, 3, 2), (3, 7, 6, 2), (0, 4, 5, 1)]  # counter-clockwise from outside
POSITIONS = BOX[np.array(SIDES)].reshape(-1, 3).astype(np.float32)
TRIANGLES = np.concatenate([np.array([0, 1, 2, 0, 2, 3]) + 4 * side for side in range(6)]).astype(np.uint16)
UVS = np.tile(np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32), (6, 1))

unit = st.integers(0, 4).map(lambda value: value / 4)
turns = st.integers(0, 7).map(lambda value: value * np.pi / 4)
vectors = st.tuples(*[st.integers(-4, 4).map(lambda value: value / 4)] * 3)
scales = st.tuples(*[st.sampled_from([0.5, 0.75, 1.0, 1.5, -1.0])] * 3)


@st.composite
def quaternions(draw: st.DrawFn) -> list[float]:
    angle, axis = draw(turns), draw(st.sampled_from([(1, 0, 0), (0, 1, 0), (0, 0, 1), (0.6, 0.8, 0)]))
    return [*(np.sin(angle / 2) * np.array(axis)).tolist(), float(np.cos(angle / 2))]


@st.composite
def nodes(draw: st.DrawFn) -> dict[str, Any]:
    return {"translation": draw(vectors), "rotation": draw(quaternions()), "scale": draw(scales)}


def matrix(node: dict[str, Any]) -> list[float]:
    """The same node by a matrix, column by column."""
    x, y, z, w = node["rotation"]
    turn = np.array([
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ])  # fmt: skip
    whole = np.eye(4)
    whole[:3, :3], whole[:3, 3] = turn * np.array(node["scale"]), node["translation"]
    return whole.T.ravel().tolist()


@st.composite
def textures(draw: st.DrawFn, file: File, alpha: bool) -> dict[str, Any]:
    pixels = QUARTERS
    if alpha:
        pixels = np.concatenate([QUARTERS, np.array([[[255], [90]], [[160], [255]]], np.uint8)], axis=2)
    wraps = st.sampled_from([10497, 33071, 33648])
    texture: dict[str, Any] = file.picture(
        pixels, wrapS=draw(wraps), wrapT=draw(wraps), magFilter=draw(st.sampled_from([9728, 9729]))
    )
    if draw(st.booleans()):
        texture["texCoord"] = 1
    if draw(st.booleans()):
        moved: dict[str, Any] = {"offset": [draw(unit), draw(unit)], "rotation": draw(turns), "scale": [draw(unit) + 0.5, 1.0]}
        if draw(st.booleans()):
            moved["texCoord"] = draw(st.sampled_from([0, 1]))
        texture["extensions"] = {"KHR_texture_transform": moved}
        file.tree["extensionsUsed"] = ["KHR_texture_transform"]
    return texture


@st.composite
def scenes(draw: st.DrawFn) -> File:
    """A box, painted, shaped and placed in some of the ways that glTF has."""
    file = File()
    positions = POSITIONS
    match draw(st.sampled_from(["plain", "shorts", "bytes", "sparse"])):
        case "plain":
            place = file.data(positions)
        case "shorts":
            place = file.data((positions * 32767).round().astype(np.int16), normalized=True)
            file.tree["extensionsRequired"] = ["KHR_mesh_quantization"]
        case "bytes":
            place = file.data((positions * 50).round().astype(np.int8))
            file.tree["extensionsRequired"] = ["KHR_mesh_quantization"]
        case _:
            moved = np.array([0, 5, 9], np.uint16)
            place = file.data(positions)
            at, new = file.data(moved), file.data(positions[moved] * 1.5)
            views = [file.tree["accessors"].pop()["bufferView"] for _ in (new, at)][::-1]
            file.tree["accessors"][place]["sparse"] = {
                "count": 3, "indices": {"bufferView": views[0], "componentType": 5123}, "values": {"bufferView": views[1]},
            }  # fmt: skip
    sets = {"TEXCOORD_0": file.data(UVS), "TEXCOORD_1": file.data(UVS[:, ::-1].copy() * 2)}
    file.primitive.update(attributes={"POSITION": place, **sets}, indices=file.data(TRIANGLES))
    if draw(st.booleans()):  # colours of vertices, of any type
        width, kind = draw(st.sampled_from([3, 4])), draw(st.sampled_from(["f4", "u1", "u2"]))
        colors = np.linspace(0.2, 1, 24 * width).reshape(24, width)
        if kind == "f4":
            file.primitive["attributes"]["COLOR_0"] = file.data(colors.astype(np.float32))
        elif not (kind == "u1" and width == 3):  # whose rows are not aligned, which glTF forbids
            top = np.iinfo(kind).max
            if not (kind == "u2" and width == 3):
                file.primitive["attributes"]["COLOR_0"] = file.data((colors * top).round().astype(kind), normalized=True)
    if draw(st.booleans()):
        target = np.zeros((24, 3), np.float32)
        target[:8] = (0.3, 0.2, 0)
        file.primitive["targets"] = [{"POSITION": file.data(target)}, {"POSITION": file.data(-target[::-1].copy())}]
        file.tree["meshes"][0]["weights"] = [draw(unit), draw(unit)]
    mode = draw(st.sampled_from(["OPAQUE", "MASK"]))
    material: dict[str, Any] = {"doubleSided": draw(st.booleans()), "alphaMode": mode}
    if mode == "MASK":
        material["alphaCutoff"] = draw(st.sampled_from([0.25, 0.5, 0.75]))
    base: dict[str, Any] = {"baseColorFactor": [draw(unit), draw(unit), draw(unit), draw(st.sampled_from([0.8, 1.0]))]}
    if draw(st.booleans()):
        base["baseColorTexture"] = draw(textures(file, alpha=draw(st.booleans())))
    if draw(st.booleans()):
        material["emissiveFactor"] = [draw(unit), draw(unit), 0.25]
    material["pbrMetallicRoughness"] = base
    file.paint(**material)
    parents = [draw(nodes()) for _ in range(draw(st.integers(1, 3)))]
    last: dict[str, Any] = {**draw(nodes()), "mesh": 0}
    file.tree["nodes"] = [{**node, "children": [index + 1]} for index, node in enumerate(parents)] + [last]
    if draw(st.booleans()):
        for node in file.tree["nodes"][:-1]:
            node["matrix"] = matrix(node)
            for key in ("translation", "rotation", "scale"):
                del node[key]
    match draw(st.sampled_from(["one", "skin", "instances", "twice"])):
        case "skin":
            joints = np.tile(np.array([[0, 1, 0, 0]], np.uint8), (24, 1))
            share = np.linspace(0, 1, 24, dtype=np.float32)
            weights = np.stack([share, 1 - share, 0 * share, 0 * share], axis=1)
            bind = np.tile(np.eye(4, dtype=np.float32).ravel(), (2, 1))
            bind[1, 12:15] = (0.1, -0.2, 0.3)
            file.primitive["attributes"] |= {"JOINTS_0": file.data(joints), "WEIGHTS_0": file.data(weights)}
            count = len(file.tree["nodes"])
            file.tree["skins"] = [{"joints": [0, count], "inverseBindMatrices": file.data(bind)}]
            last["skin"] = 0
            file.tree["materials"][0]["doubleSided"] = (
                True  # three.js turns the sides of a skin with its node, whose place means nothing
            )
            file.tree["nodes"].append({"translation": draw(vectors), "rotation": draw(quaternions())})
            file.tree["scenes"][0]["nodes"].append(count)
        case "instances":
            file.primitive.pop("targets", None)  # which three.js cannot draw together
            file.tree["meshes"][0].pop("weights", None)
            spots = np.array([[0, 0, 0], [2, 0.5, 0], [-1, 2, 1]], np.float32)
            sizes = np.array([[1, 1, 1], [0.5, 1, 1], [1, 0.4, 0.7]], np.float32)
            attributes = {"TRANSLATION": file.data(spots), "SCALE": file.data(sizes)}
            last["extensions"] = {"EXT_mesh_gpu_instancing": {"attributes": attributes}}
            file.tree.setdefault("extensionsRequired", []).append("EXT_mesh_gpu_instancing")
        case "twice":
            file.tree["nodes"].append({**draw(nodes()), "mesh": 0})
            file.tree["scenes"][0]["nodes"].append(len(file.tree["nodes"]) - 1)
    file.tree["extensionsUsed"] = sorted({*file.tree.get("extensionsUsed", []), *file.tree.get("extensionsRequired", [])})
    return file


@given(file=scenes())
@many
def test_a_scene_of_gltf(file: File, browser: Three, catalog: Catalog, tmp_path: Path) -> None:
    note(json.dumps(file.tree))
    material = file.tree["materials"][0]
    mask = material["alphaMode"] == "MASK" and "baseColorTexture" in material["pbrMetallicRoughness"]
    least = 0.9 if mask else 0.97  # a mask ends elsewhere in a texture that is seen from afar: each program has its own samples
    assert_alike(file.write(tmp_path), browser, catalog, least=least)


# ---------------------------------------------------------------------------------------------- OBJ and PLY
@st.composite
def objs(draw: st.DrawFn) -> str:
    """A box in lines: polygons or triangles, counted from the front or from the back, coloured or not."""
    back, textured, tinted = draw(st.booleans()), draw(st.booleans()), draw(st.booleans())
    lines = ["mtllib a.mtl", *(["o thing"] if draw(st.booleans()) else [])]
    for index, corner in enumerate(BOX):
        color = [index % 2, index // 4, 0.5] if tinted else []
        lines.append("v " + " ".join(f"{value:g}" for value in [*corner, *color]))
    if textured:
        lines += [f"vt {u:g} {v:g}" for u, v in UVS[:4]]
    for number, side in enumerate(SIDES):
        if number == 0 or draw(st.booleans()):
            lines.append(f"usemtl {draw(st.sampled_from(['red', 'dark']))}")
        words = []  # without `usemtl` before the first face, each program has a colour of its own
        for place, corner in enumerate(side):
            name = str(corner - 8 if back else corner + 1)
            words.append(f"{name}/{place - 4 if back else place + 1}" if textured else name)
        lines += [f"f {' '.join(words)}"] if draw(st.booleans()) else [f"f {words[0]} {words[i]} {words[i + 1]}" for i in (1, 2)]
        if draw(st.booleans()):
            lines.append(f"# side {number}")
    return "\n".join(lines) + "\n"


@given(text=objs())
@many
def test_an_obj(text: str, browser: Three, catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "a.mtl").write_text("newmtl red\nKd 0.8 0.1 0.1\nnewmtl dark\nKd 0.1 0.1 0.3\n")
    (tmp_path / "a.obj").write_text(text)
    colours = "usemtl" not in text or len(text.split("\nv ", 1)[1].split("\n")[0].split()) == 3
    if colours:  # three.js multiplies a material's colour with those of the vertices, which no other program does
        assert_alike(tmp_path / "a.obj", browser, catalog, "a.mtl")


@given(
    order=st.sampled_from(["ascii", "binary_little_endian", "binary_big_endian"]),
    kind=st.sampled_from(["float", "double"]), corner=st.sampled_from(["int", "uint", "ushort", "uchar"]),
    polygons=st.lists(st.booleans(), min_size=6, max_size=6), colored=st.booleans(), extra=st.booleans(),
)  # fmt: skip
@many
def test_a_ply(
    order: str, kind: str, corner: str, polygons: list[bool], colored: bool, extra: bool,
    browser: Three, catalog: Catalog, tmp_path: Path,
) -> None:  # fmt: skip
    types = {"float": "f4", "double": "f8", "int": "i4", "uint": "u4", "ushort": "u2", "uchar": "u1"}
    end = ">" if "big" in order else "<"
    faces = [
        f for side, whole in zip(SIDES, polygons, strict=True) for f in ([side] if whole else [side[:3], (side[0], *side[2:])])
    ]
    head = ["ply", f"format {order} 1.0", f"element vertex {len(BOX)}", *(f"property {kind} {axis}" for axis in "xyz")]
    head += [f"property uchar {name}" for name in ("red", "green", "blue") if colored]
    head += ["property float quality"] * extra + [f"element face {len(faces)}", f"property list uchar {corner} vertex_indices"]
    body, text = b"", ""
    for index, place in enumerate(BOX):
        color = [255 * (index % 2), 40 * index % 256, 100] if colored else []
        body += place.astype(end + types[kind]).tobytes() + bytes(color) + (np.array(0.5, end + "f4").tobytes() if extra else b"")
        text += " ".join(map(str, [*map(float, place), *color, *([0.5] if extra else [])])) + "\n"
    for face in faces:
        body += bytes([len(face)]) + np.array(face, end + types[corner]).tobytes()
        text += " ".join(map(str, [len(face), *face])) + "\n"
    header = "\n".join([*head, "end_header\n"]).encode()
    (tmp_path / "a.ply").write_bytes(header + (text.encode() if order == "ascii" else body))
    assert_alike(tmp_path / "a.ply", browser, catalog)
