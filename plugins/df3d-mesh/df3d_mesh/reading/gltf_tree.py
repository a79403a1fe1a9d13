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

from df3d_mesh.reading.beside import Beside

EMPTY = 100_000  # numbers of an accessor without data, which are zeros
MOST = 20_000_000  # vertices or corners that a file may speak of, and may draw
DEEPEST = 200  # nodes below one another
SIZES = {5120: 1, 5121: 1, 5122: 2, 5123: 2, 5125: 4, 5126: 4}  # bytes, by componentType (glTF 2.0, section 3.6.2.2)
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT2": 4, "MAT3": 9, "MAT4": 16}
DRAWN = {  # as they mean it
    "EXT_mesh_gpu_instancing", "EXT_texture_webp", "KHR_materials_emissive_strength", "KHR_materials_pbrSpecularGlossiness",
    "KHR_materials_unlit", "KHR_mesh_quantization", "KHR_node_visibility", "KHR_texture_transform",
}  # fmt: skip
WITHOUT_EFFECT = {  # on shape and base colour under a light of our own
    "EXT_lights_image_based", "KHR_animation_pointer", "KHR_audio_emitter", "KHR_lights_punctual", "KHR_materials_anisotropy",
    "KHR_materials_clearcoat", "KHR_materials_dispersion", "KHR_materials_ior", "KHR_materials_iridescence", "KHR_materials_sheen",
    "KHR_materials_specular", "KHR_materials_variants", "KHR_node_hoverability", "KHR_node_selectability",
    "KHR_physics_rigid_bodies", "KHR_xmp", "KHR_xmp_json_ld", "MSFT_lod", "KHR_interactivity",
}  # fmt: skip
UNDRAWN = {  # what is not drawn of these, where a file gets along without
    "KHR_materials_transmission": "light that goes through its materials",
    "KHR_materials_volume": "the thickness of its materials",
    "KHR_materials_diffuse_transmission": "light that goes through its materials",
    "KHR_texture_basisu": "pictures in KTX2",
    "KHR_draco_mesh_compression": "meshes in Draco",
    "EXT_meshopt_compression": "data in meshopt",
    "KHR_meshopt_compression": "data in meshopt",
}
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


def check(tree: Tree, binary: bytes, beside: Beside) -> tuple[list[bytes], list[str]]:
    """The buffers of a tree, and what of it is not drawn, a sentence each.

    Raises ValueError with what cannot be read, or would be read wrongly.
    """
    for extension in tree.get("extensionsRequired", []):
        if extension not in DRAWN | WITHOUT_EFFECT:
            raise ValueError(f"it needs the extension {extension}, which is not read")
    used = set(tree.get("extensionsUsed", [])) - DRAWN - WITHOUT_EFFECT
    buffers = [_buffer(buffer, binary, beside) for buffer in tree.get("buffers", [])]
    _check_views(tree, buffers)
    _check_accessors(tree)
    _check_primitives(tree)
    _check_nodes(tree)
    return buffers, [f"{UNDRAWN.get(name, f'what {name} says')} is not drawn" for name in sorted(used)]


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
        if "bufferView" not in accessor:
            if accessor["count"] > EMPTY:
                raise ValueError("it has a large accessor without data")
            continue
        view = _item(views, accessor["bufferView"])
        size = SIZES[accessor["componentType"]] * WIDTHS[accessor["type"]]
        step, count = view.get("byteStride", size), accessor["count"]
        start = accessor.get("byteOffset", 0)
        if start < 0 or step < size or (count and start + step * (count - 1) + size > view["byteLength"]):
            raise ValueError("it is cut short: an accessor reaches beyond its data")


def _check_primitives(tree: Tree) -> None:
    accessors = tree.get("accessors", [])
    for part in (part for mesh in tree.get("meshes", []) for part in mesh["primitives"]):
        for accessor in part["attributes"].values():
            _item(accessors, accessor)


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


def image(tree: Tree, index: int, buffers: list[bytes], beside: Beside) -> bytes:
    """The bytes of a picture.

    Raises OSError when it is in a file that is not there.
    """
    entry = _item(tree.get("images", []), index)
    if "bufferView" not in entry:
        return _of_uri(entry["uri"], beside)
    view = _item(tree.get("bufferViews", []), entry["bufferView"])
    start = view.get("byteOffset", 0)
    return buffers[view["buffer"]][start : start + view["byteLength"]]


def _item(items: list[Any], index: int) -> Any:
    if not 0 <= index < len(items):
        raise ValueError(f"it names item {index} of {len(items)}")
    return items[index]
