"""glTF as it means its scene: each feature on a small file that is made here, drawn, and looked at."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from df3d_mesh.reading.importer import read
from df3d_mesh.writing.glb import GlbExporter
from df3d_mesh.writing.gltf import GltfExporter
from df3d_mesh.writing.obj import ObjExporter
from df3d_mesh.writing.ply import PlyExporter
from gltf_file import CORNERS, FACES, QUARTERS, SQUARE, File

from df3d import NoConfig
from df3d.errors import ExportError
from df3d.mesh.finished import drawable, fitted_asset
from df3d.mesh.srgb import to_srgb
from df3d.plugin.catalog import Catalog
from df3d.scene.cameras import orbit
from df3d.types import MeshAsset, RenderRequest


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


def test_opacity_of_vertices_multiplies_that_of_the_texture(tmp_path: Path) -> None:
    file = File()
    file.primitive["attributes"]["COLOR_0"] = file.data(np.tile(np.float32([1, 1, 1, 0.5]), (4, 1)))
    red = np.full((2, 2, 4), (255, 0, 0, 153), np.uint8)  # six tenths
    file.paint(**base(file.picture(red), alphaMode="BLEND"))
    np.testing.assert_allclose(quarters(seen(file.read(tmp_path)))[0], [0.65, 0.35, 0.35], atol=0.02)  # three tenths before grey


def test_a_mask_cuts_and_blending_lets_through(tmp_path: Path) -> None:
    half = np.dstack([QUARTERS, np.array([[255, 0], [100, 200]], np.uint8)])
    file = File()
    file.paint(**base(file.picture(half), alphaMode="MASK"))
    assert quarters(seen(file.read(tmp_path))) == [RED, GREY, GREY, YELLOW]
    file.paint(**base(file.picture(half), alphaMode="MASK", alphaCutoff=0.1))
    assert quarters(seen(file.read(tmp_path))) == [RED, GREY, BLUE, YELLOW]
    file.paint(**base(file.picture(half), alphaMode="MASK", alphaCutoff=200.4 / 255))  # less than a step above the last one
    assert quarters(seen(file.read(tmp_path))) == [RED, GREY, GREY, YELLOW]
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


def test_each_axis_of_a_texture_goes_on_in_its_own_way(tmp_path: Path) -> None:
    """The right half of the picture is beyond its edge: as it begins anew along u, and as it ends along v."""
    file = File()
    picture = file.picture(QUARTERS, wrapS=10497, wrapT=33071)
    moved = {"offset": [0.5, 0.5]}
    file.paint(**base({**picture, "extensions": {"KHR_texture_transform": moved}}))
    assert quarters(seen(file.read(tmp_path))) == [YELLOW, BLUE, YELLOW, BLUE]


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


@pytest.mark.parametrize("skinned", [False, True])
@pytest.mark.parametrize("scale", [[1, 1, 1], [-1, 1, 1], [-2, -1, -1], [1, 3, 0.5], [-1, -1, 4], [1, 0.5, 0]])
def test_normals_stay_across_the_surface_and_outside(tmp_path: Path, scale: list[float], skinned: bool) -> None:
    """Moved by a node, or by a joint, and mirrored, stretched or pressed flat: as the moved face looks."""
    file = File()
    slope = SQUARE + SQUARE[:, :1] * np.float32([0, 0, 0.3]) + SQUARE[:, 1:2] * np.float32([0, 0, 0.5])
    normal = np.array([-0.3, -0.5, 1.0]) / np.linalg.norm([-0.3, -0.5, 1.0])
    file.primitive["attributes"] |= {"POSITION": file.data(slope), "NORMAL": file.data(np.tile(np.float32(normal), (4, 1)))}
    moved = {"scale": scale, "rotation": [0.5, 0.5, 0.5, 0.5]}
    file.tree["nodes"] = [{"mesh": 0, **moved}]
    if skinned:
        file.primitive["attributes"]["JOINTS_0"] = file.data(np.zeros((4, 4), np.uint8))
        file.primitive["attributes"]["WEIGHTS_0"] = file.data(np.tile(np.float32([1, 0, 0, 0]), (4, 1)))
        file.tree["skins"] = [{"joints": [1]}]
        file.tree["nodes"] = [{"mesh": 0, "skin": 0}, moved]
        file.tree["scenes"][0]["nodes"] = [0, 1]
    mesh = file.read(tmp_path).mesh
    a, b, c = mesh.vertices[mesh.faces[0]]
    across = np.cross(b - a, c - a)
    assert mesh.normals is not None
    np.testing.assert_allclose(mesh.normals, np.tile(across / np.linalg.norm(across), (4, 1)), atol=1e-5)


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
    half = file.data(np.tile(np.float32([0.5, 0, 0, 0]), (4, 1)))  # of more than four joints, the others are a second set
    file.tree["skins"][0] = {"joints": [1, 2]}
    file.tree["nodes"].append({"translation": [0, 1, 0]})
    second = file.data(np.tile(np.uint8([1, 0, 0, 0]), (4, 1)))
    file.primitive["attributes"] |= {"WEIGHTS_0": half, "JOINTS_1": second, "WEIGHTS_1": half}
    file.tree["scenes"][0]["nodes"].append(2)
    np.testing.assert_allclose(file.read(tmp_path).mesh.vertices, SQUARE + np.array([0, 4, 0]))


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
        "it has 2 scenes, and its scene 0 is drawn",
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


def test_the_opacity_of_vertices_is_that_of_the_material_where_it_has_one(tmp_path: Path) -> None:
    for values in (np.array([[1, 1, 1, 0.5]] * 4, np.float32), np.array([[255, 255, 255, 128]] * 4, np.uint8)):
        file = File()
        file.primitive["attributes"]["COLOR_0"] = file.data(values, normalized=values.dtype == np.uint8)
        file.paint(pbrMetallicRoughness={"baseColorFactor": [0, 0, 0, 1]}, alphaMode="BLEND", doubleSided=True)
        np.testing.assert_allclose(quarters(seen(file.read(tmp_path))), 0.25, atol=0.02)
        file.paint(pbrMetallicRoughness={"baseColorFactor": [0, 0, 0, 1]}, doubleSided=True)
        assert quarters(seen(file.read(tmp_path))) == [BLACK] * 4
        file.paint(pbrMetallicRoughness={"baseColorFactor": [0, 0, 0, 1]}, alphaMode="MASK", alphaCutoff=0.6, doubleSided=True)
        assert quarters(seen(file.read(tmp_path))) == [GREY] * 4


def test_light_of_its_own_is_not_tinted_by_its_vertices(tmp_path: Path) -> None:
    file = File()
    file.primitive["attributes"]["COLOR_0"] = file.data(np.array([[1, 0, 0]] * 4, np.float32))
    file.paint(emissiveFactor=[0, 1, 0], doubleSided=True)
    assert quarters(seen(file.read(tmp_path))) == [YELLOW] * 4


def test_light_of_its_own_may_be_finer_than_the_colours(tmp_path: Path) -> None:
    file = File()
    dark = file.picture(np.zeros((1, 1, 3), np.uint8))
    file.paint(**base(dark, emissiveFactor=[1, 1, 1], emissiveTexture=file.picture(QUARTERS)))
    assert quarters(seen(file.read(tmp_path))) == [RED, GREEN, BLUE, YELLOW]


def test_a_bright_surface_keeps_its_light_when_its_vertices_are_dark(tmp_path: Path) -> None:
    """1 * 0.5 + 0.4 = 0.9 of linear light, and not what is left of 1 when more than 1 was cut off."""
    file = File()
    file.primitive["attributes"]["COLOR_0"] = file.data(np.full((4, 3), 0.5, np.float32))
    file.paint(emissiveFactor=[0.4, 0.4, 0.4], doubleSided=True)
    np.testing.assert_allclose(quarters(seen(file.read(tmp_path))), to_srgb(np.array(0.9)), atol=0.01)


def test_what_is_not_lit_shows_its_base_colour_alone(tmp_path: Path) -> None:
    file = File()
    file.paint(pbrMetallicRoughness={"baseColorFactor": [1, 0, 0, 1]}, emissiveFactor=[0, 1, 0], doubleSided=True,
               extensions={"KHR_materials_unlit": {}})  # fmt: skip
    assert quarters(seen(file.read(tmp_path))) == [RED] * 4


def test_a_cutoff_above_one_hides_everything(tmp_path: Path) -> None:
    file = File()
    file.paint(**base(file.picture(QUARTERS), alphaMode="MASK", alphaCutoff=1.5))
    assert quarters(seen(file.read(tmp_path))) == [GREY] * 4
    file.paint(**base(file.picture(QUARTERS), alphaMode="MASK", alphaCutoff=1.0))  # what is whole is seen
    assert quarters(seen(file.read(tmp_path))) == [RED, GREEN, BLUE, YELLOW]


@pytest.mark.parametrize(("kind", "weight"), [(np.int8, 2.0), (np.int16, 3.0), (np.int8, 0.5)])
def test_morph_targets_in_whole_numbers(tmp_path: Path, kind: type, weight: float) -> None:
    file = File()
    moved = file.data(np.full((4, 3), 100, kind))
    file.primitive["targets"] = [{"POSITION": moved}]
    file.tree["meshes"][0]["weights"] = [weight]
    np.testing.assert_allclose(file.read(tmp_path).mesh.vertices, SQUARE + 100 * weight)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tree: tree["asset"].update(minVersion="2.1"), "it needs glTF 2.1"),
        (lambda tree: tree["nodes"][0].update(translation=[1, 2]), "`translation` of entry 0 of its `nodes` is no list of 3"),
        (lambda tree: tree["nodes"][0].update(rotation=[0, 0, 0, "a"]), "`rotation` of entry 0 of its `nodes` is no list of 4"),
        (lambda tree: tree["accessors"][1].update(count=3), "a primitive has 4 positions and 3 of TEXCOORD_0"),
        (lambda tree: tree.update(materials=[{"pbrMetallicRoughness": {"baseColorFactor": [1, 1]}}]), "is no list of 4 numbers"),
        (lambda tree: tree.update(materials=[{"pbrMetallicRoughness": {"baseColorTexture": {"index": 7}}}]), "names texture 7"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, change: Callable[[Any], object], message: str) -> None:
    file = File()
    file.primitive["material"] = 0
    file.tree["materials"] = [{}]
    change(file.tree)
    with pytest.raises(ExportError, match=re.escape(message)):
        file.read(tmp_path)


def test_a_sampler_of_another_kind_is_named(tmp_path: Path) -> None:
    file = File()
    file.paint(**base(file.picture(QUARTERS, wrapS=10496)))
    with pytest.raises(ExportError, match="wraps in the way 10496"):
        file.read(tmp_path)


def test_a_texture_without_its_coordinates_is_noted(tmp_path: Path) -> None:
    file = File()
    file.paint(**base({**file.picture(QUARTERS), "texCoord": 1}))
    assert any("coordinates that its mesh does not have" in note for note in file.read(tmp_path).notes)


@pytest.mark.parametrize("change", ["percent", "capitals", "unpadded"])
def test_data_in_an_address_however_they_are_written(tmp_path: Path, change: str) -> None:
    file = File()
    file.paint(**base(file.picture(QUARTERS)))
    head, data = file.tree["images"][0]["uri"].split(",")
    written = {"percent": head + "," + data.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"),
               "capitals": "DATA:image/png;BASE64," + data, "unpadded": head + "," + data.rstrip("=")}  # fmt: skip
    file.tree["images"][0]["uri"] = written[change]
    assert quarters(seen(file.read(tmp_path))) == [RED, GREEN, BLUE, YELLOW]


@pytest.mark.parametrize(("filter", "kinds"), [(9728, 2), (9729, 6)])
def test_a_sampler_says_whether_texels_are_mixed(tmp_path: Path, filter: int, kinds: int) -> None:
    file = File()
    texture = file.picture(np.array([[[255, 0, 0], [0, 0, 255]]], np.uint8), magFilter=filter)
    file.paint(**base({**texture, "extensions": {"KHR_texture_transform": {"scale": [0.1, 0.1], "offset": [0.45, 0.5]}}}))
    row = seen(file.read(tmp_path))[16, 10:22]
    assert (len(np.unique(row.round(2), axis=0)) == 2) == (kinds == 2)


def test_what_a_glb_holds_is_written_again(tmp_path: Path) -> None:
    file = File()
    file.primitive["attributes"]["COLOR_0"] = file.data(
        np.array([[1, 1, 1, 1], [1, 0, 0, 1], [0, 1, 0, 0.5], [0, 0, 1, 1]], np.float32)
    )
    picture = file.picture(QUARTERS, wrapS=33648, wrapT=33071, magFilter=9728)
    moved = {**picture, "extensions": {"KHR_texture_transform": {"scale": [2, 2], "offset": [-0.5, 0]}}}
    file.paint(pbrMetallicRoughness={"baseColorTexture": moved}, alphaMode="BLEND", doubleSided=False)
    first = file.read(tmp_path)
    for exporter, name in ((GlbExporter, "b.glb"), (GltfExporter, "b.gltf")):
        exporter(NoConfig()).write(first, tmp_path / name)
        again = read(tmp_path / name)
        for azimuth in (0.0, 180.0):
            np.testing.assert_allclose(seen(again, azimuth=azimuth), seen(first, azimuth=azimuth), atol=0.02)


@pytest.mark.parametrize("name", ["b.glb", "b.obj", "b.ply"])
def test_colours_of_vertices_are_written_again(tmp_path: Path, name: str) -> None:
    file = File()
    file.primitive["attributes"]["COLOR_0"] = file.data(np.array([[1, 1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32))
    file.paint(doubleSided=True)
    first = file.read(tmp_path)
    {"b.glb": GlbExporter, "b.obj": ObjExporter, "b.ply": PlyExporter}[name](NoConfig()).write(first, tmp_path / name)
    np.testing.assert_allclose(seen(read(tmp_path / name)), seen(first), atol=0.01)


def test_what_a_format_would_lose_is_refused(tmp_path: Path) -> None:
    file = File()
    file.paint(**base(file.picture(QUARTERS), alphaMode="MASK"))
    mask = file.read(tmp_path)
    file.primitive["attributes"]["COLOR_0"] = file.data(np.array([[1, 0, 0]] * 4, np.float32))
    file.paint(**base(file.picture(QUARTERS)))
    tinted = file.read(tmp_path)
    with pytest.raises(ExportError, match="a texture or colours of vertices"):
        ObjExporter(NoConfig()).write(tinted, tmp_path / "b.obj")
    PlyExporter(NoConfig()).write(tinted, tmp_path / "b.ply")  # which has the product
    colors = read(tmp_path / "b.ply").mesh.colors
    assert colors is not None
    np.testing.assert_allclose(colors, [[0, 0, 0], [1, 0, 0], [0, 0, 0], [1, 0, 0]])  # blue, yellow, green and red, times red
    solid = replace(mask, material=replace(mask.material, opacity=np.full(mask.material.base_color.shape[:2], 90, np.uint8)))
    with pytest.raises(ExportError, match="no opacity"):
        ObjExporter(NoConfig()).write(solid, tmp_path / "b.obj")


def test_meshes_in_draco_are_unpacked(tmp_path: Path) -> None:
    draco = pytest.importorskip("DracoPy")
    file = File()
    file.paint(**base(file.picture(QUARTERS)))
    packed = draco.encode(
        SQUARE, FACES.reshape(-1, 3).astype(np.uint32), tex_coord=CORNERS.astype(np.float64), quantization_bits=14
    )
    mesh = draco.decode(packed)
    numbers = {0: "POSITION", 3: "TEXCOORD_0"}
    view = len(file.tree["bufferViews"])
    file.tree["bufferViews"].append({"buffer": 0, "byteOffset": len(file.binary), "byteLength": len(packed)})
    file.binary += packed
    file.primitive["extensions"] = {
        "KHR_draco_mesh_compression": {
            "bufferView": view,
            "attributes": {numbers[entry["attribute_type"]]: entry["unique_id"] for entry in mesh.attributes},
        }
    }
    file.tree["extensionsRequired"] = file.tree["extensionsUsed"] = ["KHR_draco_mesh_compression"]
    for index in (*file.primitive["attributes"].values(), file.primitive["indices"]):
        del file.tree["accessors"][index]["bufferView"]
    file.tree["accessors"][file.primitive["attributes"]["POSITION"]]["count"] = len(mesh.points)
    file.tree["accessors"][file.primitive["attributes"]["TEXCOORD_0"]]["count"] = len(mesh.points)
    assert quarters(seen(file.read(tmp_path))) == [RED, GREEN, BLUE, YELLOW]
    file.binary = file.binary[: -len(packed)] + b"\0" * len(packed)
    with pytest.raises(ExportError, match="data in Draco are damaged"):
        file.read(tmp_path)


def test_large_meshes_in_draco_are_unpacked(tmp_path: Path) -> None:
    """Their accessors have no views of their own, as many numbers as they may have."""
    draco = pytest.importorskip("DracoPy")
    axis = np.linspace(-1.0, 1.0, 201)
    points = np.stack([*np.meshgrid(axis, axis), np.zeros((201, 201))], axis=-1).reshape(-1, 3).astype(np.float32)
    at = (np.arange(200)[:, None] * 201 + np.arange(200)).reshape(-1, 1)
    faces = np.concatenate([at + np.array(corners) for corners in ((0, 1, 202), (0, 202, 201))]).astype(np.uint32)
    packed = draco.encode(points, faces, quantization_bits=14)
    mesh = draco.decode(packed)
    told = {"bufferView": 0, "attributes": {"POSITION": mesh.attributes[0]["unique_id"]}}
    primitive = {"attributes": {"POSITION": 1}, "indices": 0, "extensions": {"KHR_draco_mesh_compression": told}}
    file = File()
    file.tree |= {
        "accessors": [
            {"componentType": 5125, "count": mesh.faces.size, "type": "SCALAR"},
            {"componentType": 5126, "count": len(mesh.points), "type": "VEC3"},
        ],
        "bufferViews": [{"buffer": 0, "byteOffset": 0, "byteLength": len(packed)}],
        "meshes": [{"primitives": [primitive]}],
        "extensionsRequired": ["KHR_draco_mesh_compression"],
    }
    file.binary = packed
    assert len(file.read(tmp_path).mesh.faces) == len(faces)
    del primitive["extensions"]
    with pytest.raises(ExportError, match="large accessor without data"):
        file.read(tmp_path)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda tree: tree["accessors"][0].pop("count"), "entry 0 of its `accessors` has no `count`"),
        (lambda tree: tree["accessors"][0].update(count="four"), "`count` of entry 0 of its `accessors` is no whole number"),
        (lambda tree: tree.update(nodes={"mesh": 0}), "its `nodes` are no list of objects"),
        (lambda tree: tree["nodes"][0].update(mesh=7), "entry 0 of its `nodes` names number 7 of its `meshes`, and there are 1"),
        (lambda tree: tree["scenes"][0].update(nodes=[4]), "entry 0 of its `scenes` names number 4 of its `nodes`"),
        (
            lambda tree: tree["meshes"][0]["primitives"][0].update(material=3),
            "a primitive of mesh 0 names number 3 of its `materials`",
        ),
        (lambda tree: tree["meshes"][0]["primitives"][0].pop("attributes"), "a primitive of mesh 0 has no `attributes`"),
        (lambda tree: tree["asset"].update(version="1.0"), "it is a glTF of version 1.0, and version 2 is read"),
    ],
)
def test_what_is_wrong_has_its_place(tmp_path: Path, change: Callable[[dict[str, Any]], object], reason: str) -> None:
    file = File()
    change(file.tree)
    with pytest.raises(ExportError, match=re.escape(reason)):
        file.read(tmp_path)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "it is empty"),
        (b"glTF\x01\0\0\0\x14\0\0\0", "it is a GLB of version 1, and version 2 is read"),
        (b"glTF\x02\0\0\0\x0c\0\0\0", "it is a GLB without the part in JSON"),
        (b"PK\x03\x04", "it is neither a GLB nor a glTF"),
        (b'{\n "asset": }', "its JSON is damaged in line 2, column 11"),
    ],
)
def test_what_is_no_gltf_is_told_in_a_sentence(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "a.glb").write_bytes(data)
    with pytest.raises(ExportError, match=reason):
        read(tmp_path / "a.glb")


def test_whole_numbers_may_be_written_with_a_point(tmp_path: Path) -> None:
    file = File()
    path = file.write(tmp_path)
    path.write_text(path.read_text().replace('"count": 4', '"count": 4.0'))
    assert len(read(path).mesh.faces) == 2


def test_normals_turn_with_their_node_and_lean_against_its_scale(tmp_path: Path) -> None:
    """They stay at a right angle to what they were at a right angle to, wherever a node turns and stretches it."""
    file = File()
    tilted = np.tile(np.float32([0.6, 0.0, 0.8]), (4, 1))
    plane = np.stack([SQUARE[:, 0] * 0.8, SQUARE[:, 1], -SQUARE[:, 0] * 0.6], 1).astype(np.float32)  # at a right angle to it
    file.primitive["attributes"] |= {"POSITION": file.data(plane), "NORMAL": file.data(tilted)}
    file.tree["nodes"][0] |= {"rotation": [0.1830127, 0.5, 0.1830127, 0.8365163], "scale": [1.0, 2.0, 5.0]}
    mesh = file.read(tmp_path).mesh
    assert mesh.normals is not None
    edges = mesh.vertices[1:] - mesh.vertices[:1]
    np.testing.assert_allclose(edges @ mesh.normals[0], 0, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-5)
