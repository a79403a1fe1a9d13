"""Files of other people: colours as their format means them, and refusals in place of silent nonsense."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from assets import write
from df3d_mesh.reader import read
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import PBRMaterial

from df3d.errors import ExportError
from df3d.plugin.catalog import Catalog


def gltf(folder: Path, change: Any, *meshes: trimesh.Trimesh) -> Path:
    """A text glTF of meshes side by side, with something changed in its tree."""
    scene = trimesh.Scene()
    for i, mesh in enumerate(meshes or [trimesh.creation.box()]):
        scene.add_geometry(mesh, transform=trimesh.transformations.translation_matrix([3.0 * i, 0, 0]))
    for name, data in trimesh.exchange.gltf.export_gltf(scene).items():
        (folder / name).write_bytes(data)
    path = folder / "model.gltf"
    tree = json.loads(path.read_text())
    change(tree)
    path.write_text(json.dumps(tree))
    return path


def painted(factor: list[float] | None, texture: tuple[int, int, int] | None) -> trimesh.Trimesh:
    box = trimesh.creation.box()
    picture = None if texture is None else Image.new("RGB", (4, 4), texture)
    box.visual = TextureVisuals(
        uv=np.full((len(box.vertices), 2), 0.5), material=PBRMaterial(baseColorFactor=factor, baseColorTexture=picture)
    )
    return box


def test_a_factor_is_linear_and_what_is_shown_is_srgb(tmp_path: Path) -> None:
    def half(tree: dict[str, Any]) -> None:
        tree["materials"] = [{"pbrMetallicRoughness": {"baseColorFactor": [0.2, 1.0, 0.0, 1.0]}}]
        tree["meshes"][0]["primitives"][0]["material"] = 0

    found = read(gltf(tmp_path, half))
    assert found.mesh.colors is not None
    np.testing.assert_allclose(found.mesh.colors[0], [0.4845, 1.0, 0.0], atol=0.004)


def test_a_material_without_a_colour_is_white(tmp_path: Path) -> None:
    def bare(tree: dict[str, Any]) -> None:
        tree["materials"] = [{}]
        tree["meshes"][0]["primitives"][0]["material"] = 0

    found = read(gltf(tmp_path, bare))
    assert found.mesh.colors is not None
    assert found.mesh.colors.min() == 1


def test_textures_and_factors_of_several_materials_do_not_mix(tmp_path: Path) -> None:
    """Linear 0.2 on white is sRGB 0.48; a factor of 1 changes nothing."""
    boxes = [painted([0.2, 0.2, 0.2, 1.0], (255, 255, 255)), painted([1.0, 1.0, 1.0, 1.0], (255, 0, 0))]
    boxes.append(painted([0.0, 0.2, 0.0, 1.0], None))
    found = read(gltf(tmp_path, lambda tree: None, *boxes))
    assert found.mesh.uvs is not None
    height, width, _ = found.material.base_color.shape
    shown = found.material.base_color[((1 - found.mesh.uvs[:, 1]) * height).astype(int), (found.mesh.uvs[:, 0] * width).astype(int)]
    place = (found.mesh.vertices[:, 0] / 3).round().astype(int)
    expected = np.array([[0.4845, 0.4845, 0.4845], [1.0, 0.0, 0.0], [0.0, 0.4845, 0.0]])[place]
    np.testing.assert_allclose(shown, expected, atol=0.004)


def test_an_obj_without_its_mtl_is_white(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text("mtllib gone.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl x\nf 1/1 2/2 3/3\n")
    found = read(tmp_path / "a.obj")
    assert found.mesh.colors is not None
    assert found.mesh.colors.min() == 1


def test_vertex_colours_of_a_ply_are_taken_as_they_are(tmp_path: Path) -> None:
    box = trimesh.creation.box()
    box.visual = ColorVisuals(box, vertex_colors=np.tile(np.uint8([10, 200, 30, 255]), (len(box.vertices), 1)))
    box.export(tmp_path / "a.ply")
    found = read(tmp_path / "a.ply")
    assert found.mesh.colors is not None
    np.testing.assert_allclose(found.mesh.colors[0] * 255, [10, 200, 30], atol=0.1)


def draco(tree: dict[str, Any]) -> None:
    tree["extensionsRequired"] = ["KHR_draco_mesh_compression"]


def bomb(tree: dict[str, Any]) -> None:
    tree["accessors"].append({"componentType": 5126, "type": "VEC3", "count": 10**9})


def crowd(tree: dict[str, Any]) -> None:
    tree["nodes"] += [{"mesh": 0}] * 1_000_000


def fan(tree: dict[str, Any]) -> None:
    tree["meshes"][0]["primitives"][0]["mode"] = 6


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (draco, "needs the extension KHR_draco_mesh_compression"),
        (bomb, "speaks of more than 20,000,000 vertices"),
        (crowd, "speaks of more than 20,000,000 vertices"),
        (fan, "has triangle fans"),
        (lambda tree: tree.update(asset=None), "it is no glTF"),
    ],
)
def test_what_cannot_be_drawn_right_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    with pytest.raises(ExportError, match=message):
        read(gltf(tmp_path, change))


def test_a_mesh_without_a_surface_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n")
    with pytest.raises(ExportError, match="all in one line"):
        read(tmp_path / "a.obj")


def test_any_mesh_can_be_read_back(tmp_path: Path) -> None:
    for name in ("a.glb", "a.obj", "a.ply", "a.stl"):
        found = read(write(tmp_path / name, Catalog.discover()))
        assert len(found.mesh.faces) == 12
        if name != "a.stl":
            colors = found.mesh.colors if found.mesh.uvs is None else found.material.base_color
            assert colors is not None
            assert colors.reshape(-1, 3).mean(0).tolist() == [1, 0, 0]
    assert read(tmp_path / "a.glb").provenance == {"prompt": "a box"}


@pytest.mark.parametrize("secret", ["../secret.png", "/etc/hostname", "http://localhost/x.png"])
def test_a_file_never_reads_outside_its_folder(tmp_path: Path, secret: str) -> None:
    (tmp_path / "inside").mkdir()
    Image.new("RGB", (2, 2), (0, 255, 0)).save(tmp_path / "secret.png")
    path = write(tmp_path / "inside" / "a.obj", Catalog.discover())
    material = path.with_suffix(".mtl")
    material.write_text(material.read_text().replace("a-albedo.png", secret))
    try:
        found = read(path)
    except ExportError:
        return
    assert found.mesh.uvs is None or not np.allclose(found.material.base_color.reshape(-1, 3).mean(0), (0, 1, 0))


@pytest.mark.parametrize("lie", ["count", "bytes", "view"])
def test_a_glb_that_lies_about_its_sizes_is_an_error(tmp_path: Path, lie: str) -> None:
    path = write(tmp_path / "a.glb", Catalog.discover())
    data = path.read_bytes()
    length = struct.unpack_from("<I", data, 12)[0]
    tree = json.loads(data[20 : 20 + length])
    if lie == "count":
        tree["accessors"][0]["count"] = 2**40
    elif lie == "bytes":
        tree["bufferViews"][0]["byteLength"] = 2**40
    else:
        tree["accessors"][0]["bufferView"] = 99
    text = json.dumps(tree).encode()
    text += b" " * (-len(text) % 4)
    rest = data[20 + length :]
    header = struct.pack("<4sII", b"glTF", 2, 20 + len(text) + len(rest)) + struct.pack("<I4s", len(text), b"JSON")
    path.write_bytes(header + text + rest)
    with pytest.raises(ExportError, match="cannot be read"):
        read(path)
