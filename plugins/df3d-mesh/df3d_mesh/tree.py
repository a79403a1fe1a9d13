"""The JSON of a glTF, looked at before anything is made of it: what it asks for is there, and no more than the file holds.

A file of some kilobytes can otherwise speak of gigabytes: accessors without data, meshes that are drawn a million times.
"""

from __future__ import annotations

import base64
import binascii
import json
import struct
from collections.abc import Iterator
from typing import Any

from df3d_mesh.beside import Beside

MOST = 20_000_000  # vertices or corners that a file may speak of, and may draw
DEEPEST = 200  # nodes below one another
SIZES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}  # bytes, by componentType (glTF 2.0, section 3.6.2.2)
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
READABLE = ("KHR_materials_", "KHR_lights_punctual", "KHR_node_visibility", "KHR_xmp", "EXT_texture_webp")  # or without effect here
GLOSSINESS = "KHR_materials_pbrSpecularGlossiness"

Tree = dict[str, Any]


def parse(data: bytes) -> tuple[Tree, bytes]:
    """The tree of a GLB or glTF, and the binary chunk of a GLB.

    Raises ValueError when it is neither.
    """
    binary = b""
    if data[:4] == b"glTF":
        chunks = dict(_chunks(data))
        data, binary = chunks.get(b"JSON", b""), chunks.get(b"BIN\0", b"")
    try:
        tree = json.loads(data)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    if not isinstance(tree, dict) or not isinstance(tree.get("asset"), dict):
        raise ValueError("it is no glTF")
    if not str(tree["asset"].get("version", "2.0")).startswith("2"):
        raise ValueError("it is no glTF of version 2")
    return tree, binary


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = 12
    while place + 8 <= len(data):
        length, name = struct.unpack_from("<I4s", data, place)
        if place + 8 + length > len(data):
            raise ValueError("it is cut short")
        yield name, data[place + 8 : place + 8 + length]
        place += 8 + length


def packed(tree: Tree, binary: bytes) -> bytes:
    """A GLB of a tree and its binary chunk."""
    text = json.dumps(tree, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 4)
    binary += b"\0" * (-len(binary) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    if binary:
        chunks += struct.pack("<I4s", len(binary), b"BIN\0") + binary
    return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks


def check(tree: Tree, binary: bytes, beside: Beside) -> None:
    """Raises ValueError with what cannot be read, or would be read wrongly."""
    for extension in tree.get("extensionsRequired", []):
        if not extension.startswith(READABLE):
            raise ValueError(f"it needs the extension {extension}")
    buffers = [_buffer(buffer, binary, beside) for buffer in tree.get("buffers", [])]
    _check_views(tree, buffers)
    _check_accessors(tree)
    _check_primitives(tree)
    _check_nodes(tree)
    for image in tree.get("images", []):
        beside.check_picture(_image(image, tree, buffers, beside), str(image.get("name") or image.get("uri", ""))[:80])


def simplify(tree: Tree) -> None:
    """Say with metallic and roughness what old files say with glossiness: only the base colour is read, and it is the same."""
    for material in tree.get("materials", []):
        old = material.get("extensions", {}).pop(GLOSSINESS, None)
        if old is not None:
            base = {"baseColorFactor": old.get("diffuseFactor"), "baseColorTexture": old.get("diffuseTexture")}
            material["pbrMetallicRoughness"] = {key: value for key, value in base.items() if value is not None}


def _buffer(buffer: Tree, binary: bytes, beside: Beside) -> bytes:
    data = _of_uri(buffer["uri"], beside) if "uri" in buffer else binary
    if len(data) < buffer["byteLength"]:
        raise ValueError(f"a buffer has {len(data)} bytes, and says {buffer['byteLength']}")
    return data


def _of_uri(uri: str, beside: Beside) -> bytes:
    """The data in an address, or in the file beside that it names."""
    if not uri.startswith("data:"):
        return beside[uri]
    head, _, text = uri.partition(",")
    if not head.endswith("base64"):
        raise ValueError("it has data that are not base64")
    try:
        return base64.b64decode(text)
    except binascii.Error:
        raise ValueError("it has data that are damaged") from None


def _check_views(tree: Tree, buffers: list[bytes]) -> None:
    for view in tree.get("bufferViews", []):
        start, length = view.get("byteOffset", 0), view["byteLength"]
        if start < 0 or length < 0 or start + length > len(_item(buffers, view["buffer"])):
            raise ValueError("it is cut short: a view reaches beyond its buffer")


def _check_accessors(tree: Tree) -> None:
    accessors, views = tree.get("accessors", []), tree.get("bufferViews", [])
    if sum(accessor["count"] for accessor in accessors) > MOST or any(accessor["count"] < 0 for accessor in accessors):
        raise ValueError(f"it speaks of more than {MOST:,} vertices or corners")
    for accessor in accessors:
        if "sparse" in accessor:
            raise ValueError("it has sparse accessors")
        if "bufferView" not in accessor:
            raise ValueError("it has an accessor without data")
        view = _item(views, accessor["bufferView"])
        size = SIZES[accessor["componentType"]] * WIDTHS[accessor["type"]]
        step, count = view.get("byteStride", size), accessor["count"]
        start = accessor.get("byteOffset", 0)
        if start < 0 or step < size or (count and start + step * (count - 1) + size > view["byteLength"]):
            raise ValueError("it is cut short: an accessor reaches beyond its data")


def _check_primitives(tree: Tree) -> None:
    accessors = tree.get("accessors", [])
    for part in (part for mesh in tree.get("meshes", []) for part in mesh["primitives"]):
        if part.get("mode", 4) == 6:
            raise ValueError("it has triangle fans")
        for accessor in part["attributes"].values():
            _item(accessors, accessor)
        place = part["attributes"].get("TEXCOORD_0")
        if place is not None and accessors[place]["componentType"] != 5126:
            raise ValueError("it has texture coordinates that are integers")


def _check_nodes(tree: Tree) -> None:
    """Every node has one place in the scenes at most, and what is drawn in all is within bounds."""
    nodes, meshes = tree.get("nodes", []), tree.get("meshes", [])
    children = [child for node in nodes for child in node.get("children", [])]
    if len(set(children)) < len(children):
        raise ValueError("a node of it has two parents")
    depth = dict.fromkeys(set(range(len(nodes))) - set(children), 0)
    pending = list(depth)
    while pending:
        node = pending.pop()
        for child in _item(nodes, node).get("children", []):
            depth[child] = depth[node] + 1
            if depth[child] > DEEPEST:
                raise ValueError(f"its nodes are more than {DEEPEST} deep")
            pending.append(child)
    if len(depth) < len(nodes):
        raise ValueError("its nodes go round in a circle")
    corners = [_corners(mesh, tree) for mesh in meshes]
    if sum(_item(corners, node["mesh"]) for node in nodes if "mesh" in node) > MOST:
        raise ValueError(f"it draws more than {MOST:,} vertices or corners")


def _corners(mesh: Tree, tree: Tree) -> int:
    """Corners of a mesh that has a surface."""
    drawn = [part for part in mesh["primitives"] if "POSITION" in part["attributes"]]
    return sum(
        int(_item(tree.get("accessors", []), part.get("indices", part["attributes"]["POSITION"]))["count"]) for part in drawn
    )


def _image(image: Tree, tree: Tree, buffers: list[bytes], beside: Beside) -> bytes:
    if "bufferView" not in image:
        return _of_uri(image["uri"], beside)
    view = _item(tree.get("bufferViews", []), image["bufferView"])
    start = view.get("byteOffset", 0)
    return buffers[view["buffer"]][start : start + view["byteLength"]]


def _item(items: list[Any], index: int) -> Any:
    if not 0 <= index < len(items):
        raise ValueError(f"it names item {index} of {len(items)}")
    return items[index]
