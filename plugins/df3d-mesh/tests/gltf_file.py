"""Small glTF files in the making, for tests."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
from df3d_mesh.reading.importer import read
from PIL import Image

from df3d.types import MeshAsset

SQUARE = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], np.float32)
CORNERS = np.array([[0, 1], [1, 1], [1, 0], [0, 0]], np.float32)  # texture coordinates, from the top left
FACES = np.array([0, 1, 2, 0, 2, 3], np.uint16)
QUARTERS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 0]]], np.uint8)  # red green, blue yellow
COMPONENTS = {"f4": 5126, "u1": 5121, "i1": 5120, "u2": 5123, "i2": 5122, "u4": 5125}
NAMES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}


class File:
    """A glTF in the making; `data` adds an accessor, `picture` a texture."""

    def __init__(self) -> None:
        self.binary = b""
        self.tree: dict[str, Any] = {
            "asset": {"version": "2.0"}, "accessors": [], "bufferViews": [], "scenes": [{"nodes": [0]}], "scene": 0,
            "nodes": [{"mesh": 0}], "materials": [], "images": [], "textures": [],
        }  # fmt: skip
        position, uv, faces = self.data(SQUARE), self.data(CORNERS), self.data(FACES)
        self.primitive = {"attributes": {"POSITION": position, "TEXCOORD_0": uv}, "indices": faces}
        self.tree["meshes"] = [{"primitives": [self.primitive]}]

    def data(self, values: np.ndarray, **more: object) -> int:
        flat = values.reshape(len(values), -1)
        self.tree["bufferViews"].append({"buffer": 0, "byteOffset": len(self.binary), "byteLength": flat.nbytes})
        self.binary += flat.tobytes() + b"\0" * (-flat.nbytes % 4)
        kind = COMPONENTS[flat.dtype.str[1:]]
        entry = {
            "bufferView": len(self.tree["bufferViews"]) - 1,
            "componentType": kind,
            "count": len(flat),
            "type": NAMES[flat.shape[1]],
        }
        self.tree["accessors"].append({**entry, **more})
        return len(self.tree["accessors"]) - 1

    def picture(self, pixels: np.ndarray, **sampler: int) -> dict[str, int]:
        data = io.BytesIO()
        Image.fromarray(pixels.repeat(8, 0).repeat(8, 1)).save(data, "PNG")
        self.tree["images"].append({"uri": "data:image/png;base64," + base64.b64encode(data.getvalue()).decode()})
        texture = {"source": len(self.tree["images"]) - 1}
        if sampler:
            self.tree.setdefault("samplers", []).append(sampler)
            texture["sampler"] = len(self.tree["samplers"]) - 1
        self.tree["textures"].append(texture)
        return {"index": len(self.tree["textures"]) - 1}

    def paint(self, **material: object) -> None:
        self.tree["materials"].append(material)
        self.primitive["material"] = len(self.tree["materials"]) - 1

    def write(self, folder: Path) -> Path:
        uri = "data:application/octet-stream;base64," + base64.b64encode(self.binary).decode()
        tree = {**self.tree, "buffers": [{"uri": uri, "byteLength": len(self.binary)}]}
        path = folder / "a.gltf"
        path.write_text(json.dumps({key: value for key, value in tree.items() if value != []}))
        return path

    def read(self, folder: Path) -> MeshAsset:
        return read(self.write(folder))
