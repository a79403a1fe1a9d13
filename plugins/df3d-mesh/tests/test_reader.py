"""Files of other people: colours as their format means them, and refusals in place of silent nonsense."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from df3d_mesh.reader import read
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import PBRMaterial

from df3d.errors import ExportError


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
