"""glTF as it means its scene: each feature on a small file that is made here, drawn, and looked at."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from df3d_mesh.reading.importer import read
from PIL import Image

from df3d.mesh.finished import drawable, fitted_asset
from df3d.plugin.catalog import Catalog
from df3d.scene.cameras import orbit
from df3d.types import MeshAsset, RenderRequest

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

    def read(self, folder: Path) -> MeshAsset:
        uri = "data:application/octet-stream;base64," + base64.b64encode(self.binary).decode()
        tree = {**self.tree, "buffers": [{"uri": uri, "byteLength": len(self.binary)}]}
        (folder / "a.gltf").write_text(json.dumps({key: value for key, value in tree.items() if value != []}))
        return read(folder / "a.gltf")


def seen(asset: MeshAsset, *, azimuth: float = 0.0) -> np.ndarray:
    """(32, 32, 3) on grey, without light, from the front: the square of SQUARE fills the middle half."""
    light = {"albedo_until": 0.0, "lambertian": 0.0}
    field, renderer = drawable(
        fitted_asset(asset), Catalog.discover(), {"background_color": [0.5] * 3, "shading": light, "supersample": 1}, device="cpu"
    )
    views = orbit(2, size=32)[torch.tensor([0 if azimuth == 0 else 1])]
    with torch.no_grad():
        return renderer.render(field, views, RenderRequest()).rgb[0].numpy()


def quarters(image: np.ndarray) -> list[list[float]]:
    """Colours in the middle of the four quarters of the square, row by row."""
    return [[round(float(c), 2) for c in image[y, x]] for y in (12, 20) for x in (12, 20)]


RED, GREEN, BLUE, YELLOW, GREY, BLACK, WHITE = [1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0], [0.5, 0.5, 0.5], [0, 0, 0], [1, 1, 1]


def base(texture: dict[str, Any], **more: object) -> dict[str, Any]:
    return {"pbrMetallicRoughness": {"baseColorTexture": texture}, "doubleSided": True, **more}


def test_a_texture_lies_as_its_coordinates_say(tmp_path: Path) -> None:
    file = File()
    file.paint(**base(file.picture(QUARTERS)))
    assert quarters(seen(file.read(tmp_path))) == [RED, GREEN, BLUE, YELLOW]


def test_a_texture_transform_moves_it_and_may_name_another_set(tmp_path: Path) -> None:
    file = File()
    file.primitive["attributes"]["TEXCOORD_1"] = file.data(CORNERS[:, ::-1].copy())
    texture = file.picture(QUARTERS)
    moved = {"offset": [0.5, 0.5], "scale": [0.5, 0.5]}
    file.paint(**base({**texture, "extensions": {"KHR_texture_transform": moved}}))
    assert quarters(seen(file.read(tmp_path))) == [YELLOW] * 4
    file.paint(**base({**texture, "texCoord": 0, "extensions": {"KHR_texture_transform": {"texCoord": 1}}}))
    assert quarters(seen(file.read(tmp_path))) == [RED, BLUE, GREEN, YELLOW]
    file.paint(**base({**texture, "extensions": {"KHR_texture_transform": {"rotation": np.pi / 2, "offset": [0, 1]}}}))
    assert quarters(seen(file.read(tmp_path))) == [BLUE, RED, YELLOW, GREEN]


@pytest.mark.parametrize(("wrap", "expected"), [(10497, RED), (33071, YELLOW), (33648, YELLOW)])
def test_a_sampler_says_what_is_outside(tmp_path: Path, wrap: int, expected: list[float]) -> None:
    file = File()
    file.primitive["attributes"]["TEXCOORD_0"] = file.data(np.full((4, 2), 1.2, np.float32))
    file.paint(**base(file.picture(QUARTERS, wrapS=wrap, wrapT=wrap)))
    assert quarters(seen(file.read(tmp_path))) == [expected] * 4


def test_colours_of_vertices_multiply_the_texture(tmp_path: Path) -> None:
    file = File()
    file.primitive["attributes"]["COLOR_0"] = file.data(np.full((4, 3), 0.2, np.float32))
    file.paint(**base(file.picture(np.full((2, 2, 3), 255, np.uint8))))
    assert quarters(seen(file.read(tmp_path))) == [[0.48] * 3] * 4  # linear 0.2 in sRGB


def test_a_mask_cuts_and_blending_lets_through(tmp_path: Path) -> None:
    half = np.dstack([QUARTERS, np.array([[255, 0], [100, 200]], np.uint8)])
    file = File()
    file.paint(**base(file.picture(half), alphaMode="MASK"))
    assert quarters(seen(file.read(tmp_path))) == [RED, GREY, GREY, YELLOW]
    file.paint(**base(file.picture(half), alphaMode="MASK", alphaCutoff=0.1))
    assert quarters(seen(file.read(tmp_path))) == [RED, GREY, BLUE, YELLOW]
    file.paint(**base(file.picture(half), alphaMode="OPAQUE"))
    assert quarters(seen(file.read(tmp_path))) == [RED, GREEN, BLUE, YELLOW]
    file.paint(**base(file.picture(half), alphaMode="BLEND"))
    np.testing.assert_allclose(quarters(seen(file.read(tmp_path)))[2], [0.3, 0.3, 0.7], atol=0.02)


def test_what_is_behind_is_seen_through(tmp_path: Path) -> None:
    """A red square behind one that is half there."""
    file = File()
    behind = {**file.primitive, "attributes": {"POSITION": file.data(SQUARE - np.float32([0, 0, 1]))}}
    file.paint(pbrMetallicRoughness={"baseColorFactor": [0, 0, 1, 0.5]}, alphaMode="BLEND", doubleSided=True)
    file.tree["materials"].append({"pbrMetallicRoughness": {"baseColorFactor": [1, 0, 0, 1]}, "doubleSided": True})
    file.tree["meshes"][0]["primitives"].append({**behind, "material": 1})
    np.testing.assert_allclose(seen(file.read(tmp_path))[16, 16], [0.5, 0, 0.5], atol=0.01)


def test_a_side_that_nobody_sees_is_not_drawn(tmp_path: Path) -> None:
    file = File()
    file.paint(pbrMetallicRoughness={"baseColorFactor": [1, 0, 0, 1]})
    asset = file.read(tmp_path)
    np.testing.assert_allclose(seen(asset)[16, 16], RED)
    np.testing.assert_allclose(seen(asset, azimuth=180)[16, 16], GREY)


def test_light_of_its_own_is_colour(tmp_path: Path) -> None:
    file = File()
    dark = {"pbrMetallicRoughness": {"baseColorFactor": [0, 0, 0, 1]}, "doubleSided": True}
    file.paint(**dark, emissiveFactor=[1, 1, 1], emissiveTexture=file.picture(QUARTERS))
    assert quarters(seen(file.read(tmp_path))) == [RED, GREEN, BLUE, YELLOW]
    file.paint(**dark, emissiveFactor=[0.5, 0, 0], extensions={"KHR_materials_emissive_strength": {"emissiveStrength": 2.0}})
    assert quarters(seen(file.read(tmp_path))) == [RED] * 4


def test_a_strip_and_a_fan_are_triangles(tmp_path: Path) -> None:
    for mode, order in ((5, [0, 1, 3, 2]), (6, [0, 1, 2, 3])):
        file = File()
        file.primitive |= {"mode": mode, "indices": file.data(np.array(order, np.uint16))}
        file.paint(**base(file.picture(QUARTERS)))
        assert quarters(seen(file.read(tmp_path))) == [RED, GREEN, BLUE, YELLOW]


def test_quantised_and_sparse_data_mean_what_they_say(tmp_path: Path) -> None:
    file = File()
    file.primitive["attributes"]["POSITION"] = file.data((SQUARE * 127).astype(np.int8), normalized=True)
    file.primitive["attributes"]["TEXCOORD_0"] = file.data((CORNERS * 65535).astype(np.uint16), normalized=True)
    file.tree["extensionsRequired"] = file.tree["extensionsUsed"] = ["KHR_mesh_quantization"]
    file.paint(**base(file.picture(QUARTERS)))
    assert quarters(seen(file.read(tmp_path))) == [RED, GREEN, BLUE, YELLOW]
    file = File()
    which, new = file.data(np.array([1, 2], np.uint8)), file.data(SQUARE[1:3] * np.float32(3))
    views = [file.tree["accessors"][i]["bufferView"] for i in (which, new)]
    file.tree["accessors"][0]["sparse"] = {
        "count": 2, "indices": {"bufferView": views[0], "componentType": 5121}, "values": {"bufferView": views[1]},
    }  # fmt: skip
    np.testing.assert_allclose(file.read(tmp_path).mesh.vertices[1:3], SQUARE[1:3] * 3)


def test_instances_visibility_and_mirrors(tmp_path: Path) -> None:
    file = File()
    moves = file.data(np.array([[0, 0, 0], [5, 0, 0], [10, 0, 0]], np.float32))
    file.tree["nodes"] = [{"mesh": 0, "extensions": {"EXT_mesh_gpu_instancing": {"attributes": {"TRANSLATION": moves}}}}]
    assert len(file.read(tmp_path).mesh.faces) == 6
    file.tree["nodes"] = [{"children": [1, 2]}, {"mesh": 0, "scale": [-1, 1, 1]}, {"children": [3]}, {"mesh": 0}]
    file.tree["nodes"][2]["extensions"] = {"KHR_node_visibility": {"visible": False}}
    mesh = file.read(tmp_path).mesh
    a, b, c = mesh.vertices[mesh.faces[0]]
    assert len(mesh.faces) == 2
    assert np.cross(b - a, c - a)[2] > 0, "a mirrored face still looks to the front"


def test_joints_place_a_skin_and_its_node_does_not(tmp_path: Path) -> None:
    file = File()
    joints = file.data(np.zeros((4, 4), np.uint8))
    weights = file.data(np.tile(np.float32([1, 0, 0, 0]), (4, 1)))
    file.primitive["attributes"] |= {"JOINTS_0": joints, "WEIGHTS_0": weights}
    matrix = np.eye(4, dtype=np.float32)
    matrix[3, 1] = -2.0  # column by column: moved down by 2
    file.tree["skins"] = [{"joints": [1], "inverseBindMatrices": file.data(matrix.reshape(1, 16))}]
    file.tree["nodes"] = [{"mesh": 0, "skin": 0, "translation": [100, 0, 0]}, {"translation": [0, 7, 0]}]
    file.tree["scenes"][0]["nodes"] = [0, 1]
    np.testing.assert_allclose(file.read(tmp_path).mesh.vertices, SQUARE + np.array([0, 5, 0]))


def test_morph_targets_have_their_default_weights(tmp_path: Path) -> None:
    file = File()
    file.primitive["targets"] = [{"POSITION": file.data(np.tile(np.float32([0, 0, 4]), (4, 1)))}]
    file.tree["meshes"][0]["weights"] = [0.5]
    np.testing.assert_allclose(file.read(tmp_path).mesh.vertices, SQUARE + np.array([0, 0, 2]))


def test_what_is_not_drawn_is_named(tmp_path: Path) -> None:
    file = File()
    file.tree["meshes"][0]["primitives"] += [{**file.primitive, "mode": 1}, {"attributes": {}}]
    file.tree["scenes"].append({"nodes": []})
    file.tree["extensionsUsed"] = ["KHR_materials_transmission", "XYZ_unheard_of", "KHR_lights_punctual"]
    assert set(file.read(tmp_path).notes) == {
        "its points and lines are not drawn",
        "a primitive without positions is not drawn",
        "it has 2 scenes, and the one that it names first is drawn",
        "light that goes through its materials is not drawn",
        "what XYZ_unheard_of says is not drawn",
    }


def test_several_materials_are_written_where_they_lie(tmp_path: Path) -> None:
    file = File()
    file.tree["nodes"] = [{"mesh": 0, "translation": [5, 0, 0]}]
    file.paint(**base(file.picture(QUARTERS)))
    file.tree["materials"].append({"pbrMetallicRoughness": {"baseColorFactor": [1, 0, 0, 1]}, "doubleSided": True})
    file.tree["meshes"][0]["primitives"].append({**file.primitive, "material": 1})
    asset = file.read(tmp_path)
    exporter = Catalog.discover().exporters.get("glb")
    exporter.build(exporter.config()).write(asset, tmp_path / "b.glb")
    again = read(tmp_path / "b.glb")
    assert len(again.materials) == 2
    np.testing.assert_allclose(again.mesh.vertices.min(0), asset.mesh.vertices.min(0), atol=1e-6)
    np.testing.assert_allclose(again.mesh.vertices.max(0), asset.mesh.vertices.max(0), atol=1e-6)
