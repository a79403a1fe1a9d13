"""The JSON of a glTF, looked at before anything is made of it: what it asks for is there, and no more than the file holds.

A file of some kilobytes can otherwise speak of gigabytes: accessors without data, meshes that are drawn a million times.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import struct
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

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
    "EXT_meshopt_compression": "data in meshopt",
    "KHR_meshopt_compression": "data in meshopt",
}
WORDS = {int: "whole number", str: "text", list: "list", dict: "object"}
KINDS: dict[str, dict[str, type]] = {  # what the entries of a list have, and with ? may have
    "accessors": {"componentType": int, "count": int, "type": str, "bufferView?": int, "byteOffset?": int, "sparse?": dict},
    "buffers": {"byteLength": int, "uri?": str},
    "bufferViews": {"buffer": int, "byteLength": int, "byteOffset?": int, "byteStride?": int},
    "images": {"bufferView?": int, "uri?": str},
    "materials": {"pbrMetallicRoughness?": dict, "emissiveFactor?": list, "extensions?": dict},
    "meshes": {"primitives": list, "weights?": list},
    "nodes": {
        "mesh?": int, "skin?": int, "children?": list, "matrix?": list, "translation?": list, "rotation?": list, "scale?": list,
        "weights?": list, "extensions?": dict,
    },
    "samplers": {"magFilter?": int, "wrapS?": int, "wrapT?": int},
    "scenes": {"nodes?": list},
    "skins": {"joints": list, "inverseBindMatrices?": int},
    "textures": {"source?": int, "sampler?": int, "extensions?": dict},
}  # fmt: skip
LENGTHS = {  # of lists of numbers
    "nodes": {"matrix": 16, "translation": 3, "rotation": 4, "scale": 3}, "materials": {"emissiveFactor": 3},
}  # fmt: skip
DRACO = "KHR_draco_mesh_compression"  # drawn where its library is installed
NAMED = {  # which list a number, or a list of numbers, names an entry of
    "accessors": {"bufferView": "bufferViews"}, "bufferViews": {"buffer": "buffers"}, "images": {"bufferView": "bufferViews"},
    "nodes": {"mesh": "meshes", "skin": "skins", "children": "nodes"}, "scenes": {"nodes": "nodes"},
    "skins": {"joints": "nodes", "inverseBindMatrices": "accessors"}, "textures": {"source": "images", "sampler": "samplers"},
}  # fmt: skip
GLOSSINESS = "KHR_materials_pbrSpecularGlossiness"

Tree = dict[str, Any]


def parse(data: bytes) -> tuple[Tree, bytes]:
    """The tree of a GLB or glTF, and the binary chunk of a GLB.

    Raises ValueError when it is neither.
    """
    binary = b""
    if data[:4] == b"glTF":
        if (number := int.from_bytes(data[4:8], "little")) != 2:
            raise ValueError(f"it is a GLB of version {number}, and version 2 is read")
        chunks = dict(_chunks(data[: int.from_bytes(data[8:12], "little")]))
        if not chunks.get(b"JSON"):
            raise ValueError("it is a GLB without the part in JSON that says what is in it")
        data, binary = chunks[b"JSON"], chunks.get(b"BIN\0", b"")
    elif not data.strip():
        raise ValueError("it is empty")
    elif not data.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        raise ValueError("it is neither a GLB nor a glTF: it begins otherwise")
    try:
        tree = json.loads(data, parse_float=_number)
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"its JSON is not in UTF-8: byte {error.start} of it") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"its JSON is damaged in line {error.lineno}, column {error.colno}") from None
    if not isinstance(tree, dict) or not isinstance(tree.get("asset"), dict):
        raise ValueError("it is no glTF: it has no `asset`, which says the version")
    version = str(tree["asset"].get("version", "2.0"))
    if not version.startswith("2"):
        raise ValueError(f"it is a glTF of version {version:.10}, and version 2 is read")
    least = str(tree["asset"].get("minVersion", "2.0"))
    if least not in ("2", "2.0"):
        raise ValueError(f"it needs glTF {least:.10}, and 2.0 is read")
    _check_kinds(tree)
    _check_names(tree)
    return tree, binary


def _number(text: str) -> float:
    """A whole number where it is one, however it is written."""
    value = float(text)
    return int(value) if value.is_integer() else value


def _check_kinds(tree: Tree) -> None:
    """Raises ValueError, with the place, when an entry lacks what it must have, or has it in another kind."""
    for name, keys in KINDS.items():
        entries = tree.get(name, [])
        if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError(f"its `{name}` are no list of objects")
        for number, entry in enumerate(entries):
            for key, kind in keys.items():
                if key.endswith("?") and key[:-1] not in entry:
                    continue
                value = entry.get(key.rstrip("?"))
                if value is None:
                    raise ValueError(f"entry {number} of its `{name}` has no `{key}`")
                if not isinstance(value, kind) or isinstance(value, bool):
                    raise ValueError(f"`{key.rstrip('?')}` of entry {number} of its `{name}` is no {WORDS[kind]}")
            for key, length in LENGTHS.get(name, {}).items():
                _check_numbers(entry.get(key), length, f"`{key}` of entry {number} of its `{name}`")
    for number, material in enumerate(tree.get("materials", [])):
        told = material.get("pbrMetallicRoughness", {}).get("baseColorFactor")
        _check_numbers(told, 4, f"`baseColorFactor` of entry {number} of its `materials`")


def _check_numbers(value: Any, length: int, place: str) -> None:
    right = isinstance(value, list) and len(value) == length and all(type(number) in (int, float) for number in value)
    if value is not None and not right:
        raise ValueError(f"{place} is no list of {length} numbers")


def _check_names(tree: Tree) -> None:
    """Raises ValueError, with the place, when an entry names another that is not there."""
    for name, keys in NAMED.items():
        for number, entry in enumerate(tree.get(name, [])):
            for key, where in keys.items():
                _check_name(entry.get(key, []), where, tree, f"entry {number} of its `{name}`")
    for number, mesh in enumerate(tree.get("meshes", [])):
        for part in mesh["primitives"]:
            place = f"a primitive of mesh {number}"
            if not isinstance(part, dict) or not isinstance(part.get("attributes"), dict):
                raise ValueError(f"{place} has no `attributes`")
            _check_name([*part["attributes"].values(), *_given(part, "indices")], "accessors", tree, place)
            _check_name(_given(part, "material"), "materials", tree, place)
    _check_name(_given(tree, "scene"), "scenes", tree, "it")


def _given(entry: Tree, key: str) -> list[Any]:
    return [entry[key]] if key in entry else []


def _check_name(told: Any, where: str, tree: Tree, place: str) -> None:
    known = len(tree.get(where, []))
    for index in told if isinstance(told, list) else [told]:
        if not isinstance(index, int) or not 0 <= index < known:
            raise ValueError(f"{place} names number {index!s:.20} of its `{where}`, and there are {known}")


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
        if extension not in DRAWN | WITHOUT_EFFECT | {DRACO}:
            what = f": {UNDRAWN[extension]}" if extension in UNDRAWN else ""
            raise ValueError(f"it needs the extension {extension}{what}, which is not read")
    used = set(tree.get("extensionsUsed", [])) - DRAWN - WITHOUT_EFFECT - {DRACO}
    buffers = [_buffer(buffer, binary, beside) for buffer in tree.get("buffers", [])]
    _check_views(tree, buffers)
    _check_accessors(tree)
    _check_nodes(tree)
    return buffers, [f"{UNDRAWN.get(name, f'what {name} says')} is not drawn" for name in sorted(used)]


def _buffer(buffer: Tree, binary: bytes, beside: Beside) -> bytes:
    try:
        data = _of_uri(buffer["uri"], beside) if "uri" in buffer else binary
    except FileNotFoundError:
        web = re.match(r"[a-z]+://", buffer["uri"])
        raise ValueError(f"its data `{buffer['uri']:.80}` are {'not fetched' if web else 'not there'}") from None
    if len(data) < buffer["byteLength"]:
        raise ValueError(f"it is cut short: a buffer has {len(data)} bytes of {buffer['byteLength']}")
    return data


def _of_uri(uri: str, beside: Beside) -> bytes:
    """The data in an address, or in the file beside that it names."""
    if uri[:5].lower() != "data:":
        return beside[uri]
    head, _, text = uri.partition(",")
    if not head.lower().endswith("base64"):
        return unquote_to_bytes(text)
    text = unquote(text).strip()
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error:
        raise ValueError("it has data in base64 that are damaged") from None


def _check_views(tree: Tree, buffers: list[bytes]) -> None:
    for view in tree.get("bufferViews", []):
        start, length = view.get("byteOffset", 0), view["byteLength"]
        if start < 0 or length < 0 or start + length > len(buffers[view["buffer"]]):
            raise ValueError("it is cut short: a view reaches beyond its buffer")


def _check_accessors(tree: Tree) -> None:
    accessors, views = tree.get("accessors", []), tree.get("bufferViews", [])
    if sum(accessor["count"] for accessor in accessors) > MOST or any(accessor["count"] < 0 for accessor in accessors):
        raise ValueError(f"it has more than {MOST:,} vertices or corners")
    packed = _in_draco(tree)
    for index, accessor in enumerate(accessors):
        if "bufferView" not in accessor:
            if accessor["count"] > EMPTY and index not in packed:
                raise ValueError("it has a large accessor without data")
            continue
        view = views[accessor["bufferView"]]
        size = SIZES[accessor["componentType"]] * WIDTHS[accessor["type"]]
        step, count = view.get("byteStride", size), accessor["count"]
        start = accessor.get("byteOffset", 0)
        if start < 0 or step < size or (count and start + step * (count - 1) + size > view["byteLength"]):
            raise ValueError("it is cut short: an accessor reaches beyond its data")


def _in_draco(tree: Tree) -> set[int]:
    """The accessors whose data are in Draco; they need no view of their own."""
    primitives = [primitive for mesh in tree.get("meshes", []) for primitive in mesh["primitives"]]
    packed = [(one, one["extensions"][DRACO]) for one in primitives if DRACO in one.get("extensions", {})]
    return {
        index
        for primitive, data in packed
        for index in (primitive.get("indices"), *(primitive["attributes"].get(name) for name in data["attributes"]))
        if index is not None
    }


def _check_nodes(tree: Tree) -> None:
    """Every node has one place in the scenes at most, and what is drawn in all is within bounds."""
    nodes, meshes = tree.get("nodes", []), tree.get("meshes", [])
    children = [child for node in nodes for child in node.get("children", [])]
    if len(set(children)) < len(children):
        raise ValueError(f"node {max(children, key=children.count)} of it has two parents")
    depth = dict.fromkeys(set(range(len(nodes))) - set(children), 0)
    pending = list(depth)
    while pending:
        node = pending.pop()
        for child in nodes[node].get("children", []):
            depth[child] = depth[node] + 1
            if depth[child] > DEEPEST:
                raise ValueError(f"its nodes are more than {DEEPEST} deep")
            pending.append(child)
    if len(depth) < len(nodes):
        raise ValueError("its nodes go round in a circle")
    corners = [_corners(mesh, tree) for mesh in meshes]
    if sum(corners[node["mesh"]] for node in nodes if "mesh" in node) > MOST:
        raise ValueError(f"it draws more than {MOST:,} vertices or corners")


def _corners(mesh: Tree, tree: Tree) -> int:
    """Corners of a mesh that has a surface."""
    drawn = [part for part in mesh["primitives"] if "POSITION" in part["attributes"]]
    return sum(int(tree.get("accessors", [])[part.get("indices", part["attributes"]["POSITION"])]["count"]) for part in drawn)


def image(tree: Tree, index: int, buffers: list[bytes], beside: Beside) -> bytes:
    """The bytes of a picture.

    Raises OSError when it is in a file that is not there.
    """
    entry = tree.get("images", [])[index]
    if "bufferView" not in entry:
        return _of_uri(entry["uri"], beside)
    return view_bytes(tree, entry["bufferView"], buffers)


def view_bytes(tree: Tree, index: int, buffers: list[bytes]) -> bytes:
    """All that a view of a buffer shows."""
    view = tree["bufferViews"][index]
    start = view.get("byteOffset", 0)
    return buffers[view["buffer"]][start : start + view["byteLength"]]
