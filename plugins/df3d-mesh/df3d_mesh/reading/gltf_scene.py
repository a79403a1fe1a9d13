"""The scene of a glTF as triangles: nodes, instances, skins and morph targets in their places (glTF 2.0, chapters 3.5 to 3.8).

trimesh reads glTF too, but leaves out skins, morph targets, instances, texture transforms, quantised and sparse accessors and other
sets of texture coordinates without a word; no other library for Python draws more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from df3d_mesh.reading.gltf_tree import DRACO, MOST, WIDTHS, Tree, view_bytes

try:
    import DracoPy
except ImportError:
    DracoPy = None

DTYPES = {5120: np.int8, 5121: np.uint8, 5122: np.int16, 5123: np.uint16, 5125: np.uint32, 5126: np.float32}
NO_SURFACE = (0, 1, 2, 3)  # modes: points and lines


@dataclass(frozen=True)
class Part:
    """A primitive in its place in the world."""

    vertices: np.ndarray  # (P, 3) float64
    faces: np.ndarray  # (F, 3) int64, counter-clockwise from outside
    normals: np.ndarray | None  # (P, 3)
    coordinates: dict[int, np.ndarray]  # (P, 2) float32 by their set, origin at the top left
    colors: np.ndarray | None  # (P, 3 or 4) float32, linear
    material: int | None


@dataclass
class Scene:
    """The data of a glTF, with its buffers at hand."""

    tree: Tree
    buffers: list[bytes]
    notes: list[str] = field(default_factory=list)  # what is not drawn
    _drawn: int = 0
    _unpacked: dict[int, np.ndarray] = field(default_factory=dict)  # of accessors whose data are in Draco

    # ------------------------------------------------------------------------------------------ data
    def accessor(self, index: int) -> np.ndarray:
        """(N, width) of an accessor, with the numbers that it means."""
        entry = self.tree["accessors"][index]
        dtype: np.dtype[Any] = np.dtype(DTYPES[entry["componentType"]])
        width, count = WIDTHS[entry["type"]], entry["count"]
        if index in self._unpacked:
            values = self._unpacked[index]
        elif "bufferView" in entry:
            values = self._view(entry["bufferView"], entry.get("byteOffset", 0), dtype, count, width)
        else:
            values = np.zeros((count, width), dtype)
        if "sparse" in entry:
            sparse = entry["sparse"]
            at, new = sparse["indices"], sparse["values"]
            places = self._view(
                at["bufferView"], at.get("byteOffset", 0), np.dtype(DTYPES[at["componentType"]]), sparse["count"], 1
            )
            values = values.copy()
            values[places[:, 0]] = self._view(new["bufferView"], new.get("byteOffset", 0), dtype, sparse["count"], width)
        if entry.get("normalized") and dtype.kind in "iu":  # section 3.11
            return np.maximum(values.astype(np.float32) / np.iinfo(dtype).max, -1.0)
        return values

    def _view(self, index: int, offset: int, dtype: np.dtype, count: int, width: int) -> np.ndarray:
        view = self.tree["bufferViews"][index]
        size = dtype.itemsize * width
        step = view.get("byteStride", size)
        start = view.get("byteOffset", 0) + offset
        data = np.frombuffer(self.buffers[view["buffer"]], np.uint8)
        if count and start + step * (count - 1) + size > len(data):
            raise ValueError("it is cut short: an accessor reaches beyond its data")
        rows = np.lib.stride_tricks.as_strided(data[start:], (count, size), (step, 1), writeable=False)
        return np.ascontiguousarray(rows).view(dtype.newbyteorder("<")).reshape(count, width).astype(dtype, copy=False)

    # ------------------------------------------------------------------------------------------ nodes
    def parts(self) -> Iterator[Part]:
        """Every primitive of the scene that is shown, in world space."""
        nodes = self.tree.get("nodes", [])
        scenes = self.tree.get("scenes", [])
        if scenes:
            roots = scenes[self.tree.get("scene", 0)].get("nodes", [])
            if len(scenes) > 1:
                self.notes.append(f"it has {len(scenes)} scenes, and its scene {self.tree.get('scene', 0)} is drawn")
        else:
            roots = sorted(set(range(len(nodes))) - {child for node in nodes for child in node.get("children", [])})
        world = self._places()
        pending = [(root, True) for root in reversed(roots)]
        while pending:
            index, shown = pending.pop()
            node = nodes[index]
            shown = shown and node.get("extensions", {}).get("KHR_node_visibility", {}).get("visible", True)
            pending += [(child, shown) for child in reversed(node.get("children", []))]
            if not shown or "mesh" not in node:
                continue
            for matrix in self._instances(node, world[index]):
                yield from self._mesh(node, matrix, world)

    def _places(self) -> list[np.ndarray]:
        """(4, 4) from each node to the world."""
        nodes = self.tree.get("nodes", [])
        world = [_local(node) for node in nodes]
        roots = set(range(len(nodes))) - {child for node in nodes for child in node.get("children", [])}
        pending = list(roots)
        while pending:
            index = pending.pop()
            for child in nodes[index].get("children", []):
                world[child] = world[index] @ world[child]
                pending.append(child)
        return world

    def _instances(self, node: Tree, matrix: np.ndarray) -> list[np.ndarray]:
        """Where a node's mesh is drawn: once, or as EXT_mesh_gpu_instancing says."""
        found = node.get("extensions", {}).get("EXT_mesh_gpu_instancing")
        if not found:
            return [matrix]
        named = {key: self.accessor(index).astype(np.float64) for key, index in found["attributes"].items()}
        count = max((len(values) for values in named.values()), default=0)
        self._count(count)
        return [
            matrix
            @ _local(
                {
                    "translation": named["TRANSLATION"][i] if "TRANSLATION" in named else (0, 0, 0),
                    "rotation": named["ROTATION"][i] if "ROTATION" in named else (0, 0, 0, 1),
                    "scale": named["SCALE"][i] if "SCALE" in named else (1, 1, 1),
                }
            )
            for i in range(count)
        ]

    def _mesh(self, node: Tree, matrix: np.ndarray, world: list[np.ndarray]) -> Iterator[Part]:
        mesh = self.tree["meshes"][node["mesh"]]
        weights = node.get("weights", mesh.get("weights", []))
        for primitive in mesh["primitives"]:
            mode, attributes = primitive.get("mode", 4), primitive["attributes"]
            if mode in NO_SURFACE:
                self._note("its points and lines are not drawn")
                continue
            if "POSITION" not in attributes:
                self._note("a primitive without positions is not drawn")
                continue
            if (packed := primitive.get("extensions", {}).get(DRACO)) is not None:
                self._unpack(packed, primitive)
            counts = {key: self.tree["accessors"][index]["count"] for key, index in attributes.items()}
            if odd := next((key for key in counts if counts[key] != counts["POSITION"]), None):
                raise ValueError(f"a primitive has {counts['POSITION']} positions and {counts[odd]} of {odd:.20}")
            faces = _triangles(self._indices(primitive), mode)
            self._count(faces.size)
            positions = self.accessor(attributes["POSITION"]).astype(np.float64)
            normals = self.accessor(attributes["NORMAL"]).astype(np.float64) if "NORMAL" in attributes else None
            if len(faces) and (faces.min() < 0 or faces.max() >= len(positions)):
                raise ValueError("its faces name vertices that it does not have")
            for target, weight in zip(primitive.get("targets", []), weights, strict=False):
                if weight and "POSITION" in target:
                    positions = positions + float(weight) * self.accessor(target["POSITION"]).astype(np.float64)
                if weight and "NORMAL" in target and normals is not None:
                    normals = normals + float(weight) * self.accessor(target["NORMAL"]).astype(np.float64)
                if weight and any(key.startswith(("COLOR", "TEXCOORD")) for key in target):
                    self._note("colours and texture coordinates are drawn without their morph targets")
            if "skin" in node and "JOINTS_0" in attributes:
                vertices, normals, mirrored = self._skinned(node["skin"], attributes, positions, normals, world)
            else:
                vertices, normals = _moved(matrix, positions, normals)
                mirrored = np.linalg.det(matrix[:3, :3]) < 0
            yield Part(
                vertices,
                faces[:, ::-1] if mirrored else faces,
                normals,
                {int(key[9:]): self.accessor(i).astype(np.float32) for key, i in attributes.items() if key.startswith("TEXCOORD_")},
                self._colors(attributes),
                primitive.get("material"),
            )

    def _unpack(self, packed: Tree, primitive: Tree) -> None:
        """The data of a primitive in Draco, in place of those of its accessors.

        Raises ValueError when they are not as it says, or there is no library that reads them.
        """
        if DracoPy is None:
            if "bufferView" in self.tree["accessors"][primitive["attributes"]["POSITION"]]:
                return  # the same data, not packed
            raise ValueError("its meshes are packed by Draco, which is read where DracoPy is: `python -m pip install DracoPy`")
        data = view_bytes(self.tree, packed["bufferView"], self.buffers)
        try:
            mesh = DracoPy.decode(data)
            found = {primitive["attributes"][name]: mesh.get_attribute_by_unique_id(number)["data"]
                     for name, number in packed["attributes"].items()}  # fmt: skip
            if "indices" in primitive:
                found[primitive["indices"]] = mesh.faces.reshape(-1, 1)
        except Exception as error:
            raise ValueError(f"its data in Draco are damaged: {error!s:.80}") from None
        for index, values in found.items():
            entry = self.tree["accessors"][index]
            if values.shape != (entry["count"], WIDTHS[entry["type"]]):
                raise ValueError(f"accessor {index} of it has {entry['count']} entries, and in Draco {len(values)}")
            self._unpacked[index] = values.astype(DTYPES[entry["componentType"]])

    def _indices(self, primitive: Tree) -> np.ndarray:
        if "indices" in primitive:
            return self.accessor(primitive["indices"])[:, 0].astype(np.int64)
        return np.arange(self.tree["accessors"][primitive["attributes"]["POSITION"]]["count"])

    def _colors(self, attributes: Tree) -> np.ndarray | None:
        if "COLOR_0" not in attributes:
            return None
        values = self.accessor(attributes["COLOR_0"])
        if values.dtype.kind in "iu":  # integers are fractions, whether they say so or not
            values = values / np.float32(np.iinfo(values.dtype).max)
        return values.astype(np.float32)

    def _skinned(
        self, index: int, attributes: Tree, positions: np.ndarray, normals: np.ndarray | None, world: list[np.ndarray]
    ) -> tuple[np.ndarray, np.ndarray | None, bool]:
        """Vertices where the joints put them, whatever the mesh's own node says (section 3.7.3.3)."""
        skin = self.tree["skins"][index]
        joints = np.stack([world[joint] for joint in skin["joints"]])
        if "inverseBindMatrices" in skin:
            inverse = self.accessor(skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)[: len(joints)]
            if len(inverse) < len(joints):
                raise ValueError(f"a skin has {len(joints)} joints and {len(inverse)} inverse bind matrices")
            joints = joints @ inverse
        blended, total = np.zeros((len(positions), 4, 4)), np.zeros(len(positions))
        for number in range(8):
            if f"JOINTS_{number}" not in attributes:
                break
            which = self.accessor(attributes[f"JOINTS_{number}"]).astype(np.int64)
            share = self.accessor(attributes[f"WEIGHTS_{number}"]).astype(np.float64)
            if which.size and which.max() >= len(joints):
                raise ValueError("its vertices name joints that it does not have")
            for k in range(4):
                blended += share[:, k, None, None] * joints[which[:, k]]
                total += share[:, k]
        blended /= np.where(total > 0, total, 1.0)[:, None, None]
        vertices = np.einsum("pij,pj->pi", blended[:, :3, :3], positions) + blended[:, :3, 3]
        turned = None if normals is None else _unit(np.einsum("pij,pj->pi", _for_normals(blended[:, :3, :3]), normals))
        return vertices, turned, bool(np.median(np.linalg.det(blended[:, :3, :3])) < 0) if len(blended) else False

    def _count(self, corners: int) -> None:
        self._drawn += corners
        if self._drawn > 3 * MOST:
            raise ValueError(f"it draws more than {MOST:,} triangles")

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)


def _local(node: Any) -> np.ndarray:
    """(4, 4) of a node in its parent's space."""
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    x, y, z, w = (float(value) for value in node.get("rotation", (0, 0, 0, 1)))
    scale = 2 / max(x * x + y * y + z * z + w * w, 1e-30)
    found = np.eye(4)
    found[:3, :3] = np.array(
        [
            [1 - scale * (y * y + z * z), scale * (x * y - z * w), scale * (x * z + y * w)],
            [scale * (x * y + z * w), 1 - scale * (x * x + z * z), scale * (y * z - x * w)],
            [scale * (x * z - y * w), scale * (y * z + x * w), 1 - scale * (x * x + y * y)],
        ]
    ) * np.array(node.get("scale", (1, 1, 1)), np.float64)
    found[:3, 3] = node.get("translation", (0, 0, 0))
    return found


def _moved(matrix: np.ndarray, positions: np.ndarray, normals: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    vertices = positions @ matrix[:3, :3].T + matrix[:3, 3]
    if normals is None:
        return vertices, None
    return vertices, _unit(normals @ _for_normals(matrix[:3, :3]).T)


def _for_normals(matrix: np.ndarray) -> np.ndarray:
    """(..., 3, 3) what turns normals where `matrix` (..., 3, 3) turns points: its inverse transposed, times a positive number.

    Of a matrix that makes all flat too: the cofactors, with the sign that keeps what looks outwards so in a mirror.
    """
    a, b, c = matrix[..., 0, :], matrix[..., 1, :], matrix[..., 2, :]
    cofactors = np.stack([np.cross(b, c), np.cross(c, a), np.cross(a, b)], axis=-2)
    return np.where(np.linalg.det(matrix) < 0, -1.0, 1.0)[..., None, None] * cofactors


def _unit(vectors: np.ndarray) -> np.ndarray:
    found: np.ndarray = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-20)
    return found


def _triangles(indices: np.ndarray, mode: int) -> np.ndarray:
    """(F, 3) of triangles, of a strip, or of a fan (section 3.7.2.1)."""
    if mode == 4:
        return indices[: len(indices) // 3 * 3].reshape(-1, 3)
    if mode not in (5, 6):
        raise ValueError(f"it has primitives of mode {mode}, which glTF does not have")
    count = np.arange(max(len(indices) - 2, 0))
    if mode == 5:
        odd = count % 2
        return np.stack([indices[count], indices[count + 1 + odd], indices[count + 2 - odd]], axis=1)
    return np.stack([indices[count + 1], indices[count + 2], np.full(len(count), indices[0] if len(indices) else 0)], axis=1)
