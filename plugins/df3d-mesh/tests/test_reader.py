"""Files of other people: colours as their format means them, and refusals in place of silent nonsense."""

from __future__ import annotations

import base64
import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from assets import write
from df3d_mesh.reading.importer import read
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import PBRMaterial

from df3d.errors import ExportError
from df3d.mesh.finished import as_floats
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
    assert found.mesh.materials is not None
    shown = np.array([as_floats(material.base_color).mean((0, 1)) for material in found.materials])[found.mesh.materials]
    place = (found.mesh.vertices[found.mesh.faces[:, 0], 0] / 3).round().astype(int)
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


def meshopt(tree: dict[str, Any]) -> None:
    tree["extensionsRequired"] = ["EXT_meshopt_compression"]


def without_data(tree: dict[str, Any]) -> None:
    tree["accessors"].append({"componentType": 5126, "type": "VEC3", "count": 10_000_000})


def bomb(tree: dict[str, Any]) -> None:
    tree["accessors"].append({"componentType": 5126, "type": "VEC3", "count": 10**9, "bufferView": 0})


def beyond(tree: dict[str, Any]) -> None:
    tree["accessors"][0]["count"] = 10**6


def crowd(tree: dict[str, Any]) -> None:
    tree["nodes"] += [{"mesh": 0}] * 1_000_000


def doubling(tree: dict[str, Any]) -> None:
    """Each node has the next one twice: thirty of them draw a mesh a thousand million times."""
    first = len(tree["nodes"])
    tree["nodes"] += [{"children": [first + i + 1, first + i + 1]} for i in range(30)] + [{"mesh": 0}]


def circle(tree: dict[str, Any]) -> None:
    first = len(tree["nodes"])
    tree["nodes"] += [{"children": [first + 1]}, {"children": [first]}]


def chain(tree: dict[str, Any]) -> None:
    first = len(tree["nodes"])
    tree["nodes"] += [{"children": [first + i + 1]} for i in range(100_000)] + [{"mesh": 0}]


def textured(uri: str) -> Any:
    def change(tree: dict[str, Any]) -> None:
        tree["images"] = [{"uri": uri}]
        tree["textures"] = [{"source": 0}]
        tree["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": 0}}}]
        tree["meshes"][0]["primitives"][0]["material"] = 0

    return change


def huge() -> str:
    """The address of a PNG whose header says 50,000 x 50,000 pixels."""
    data = io.BytesIO()
    Image.new("1", (50, 50)).save(data, "PNG")
    head = struct.pack(">II", 50_000, 50_000) + data.getvalue()[24:29]
    changed = data.getvalue()[:16] + head + struct.pack(">I", zlib.crc32(b"IHDR" + head)) + data.getvalue()[33:]
    return "data:image/png;base64," + base64.b64encode(changed).decode()


def many(tree: dict[str, Any]) -> None:
    """Pictures that are small one by one and large together."""
    data = io.BytesIO()
    Image.new("1", (9000, 9000)).save(data, "PNG")
    textured("data:image/png;base64," + base64.b64encode(data.getvalue()).decode())(tree)
    for key in ("images", "textures", "materials"):
        tree[key] *= 5
    tree["textures"] = [{"source": index} for index in range(5)]
    tree["materials"] = [{"pbrMetallicRoughness": {"baseColorTexture": {"index": index}}} for index in range(5)]
    one = tree["meshes"][0]["primitives"][0]
    tree["meshes"][0]["primitives"] = [{**one, "material": index} for index in range(5)]


POSTSCRIPT = "data:image/png;base64," + base64.b64encode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage").decode()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (meshopt, "needs the extension EXT_meshopt_compression: data in meshopt"),
        (without_data, "has a large accessor without data"),
        (bomb, "it has more than 20,000,000 vertices"),
        (beyond, "an accessor reaches beyond its data"),
        (crowd, "draws more than 20,000,000 vertices"),
        (doubling, "of it has two parents"),
        (circle, "its nodes go round in a circle"),
        (chain, "its nodes are more than 200 deep"),
        (textured(POSTSCRIPT), "it is no PNG, JPEG, WebP"),
        (textured("../outside.png"), "lies outside the file's own folder"),
        (textured("passwd.png"), "it is no PNG, JPEG, WebP"),
        (textured(huge()), "more than 100,000,000 pixels"),
        (many, "have more than 200,000,000 pixels in all"),
        (lambda tree: tree.update(asset=None), "it is no glTF"),
        (lambda tree: tree["buffers"][0].update(uri="../secret.bin"), "lies outside the file's own folder"),
    ],
)
def test_what_cannot_be_drawn_right_is_refused(tmp_path: Path, change: Any, message: str) -> None:
    (tmp_path / "outside.png").write_bytes(b"")
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "passwd.png").write_text("root:x:0:0")
    with pytest.raises(ExportError, match=message):
        read(gltf(tmp_path / "below", change))


@pytest.mark.parametrize("place", ["/etc/passwd", "C:\\\\textures\\\\wood.png", "gone.png", "/tmp/../etc/passwd"])
def test_a_path_of_another_machine_is_looked_for_by_its_name(tmp_path: Path, place: str) -> None:
    """And not read there: what is not in the folder is named."""
    found = read(gltf(tmp_path, textured(place.replace("\\\\", "\\"))))
    assert f"its texture `{place.replace(chr(92) * 2, chr(92))}` is not there" in found.notes
    Image.new("RGB", (2, 2), (255, 0, 0)).save(tmp_path / "WOOD.png")
    again = read(tmp_path / "model.gltf")
    assert any("is not there" in note for note in again.notes) == ("wood" not in place)


def test_brackets_without_end_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.gltf").write_text('{"a":' * 100_000)
    with pytest.raises(ExportError, match="nested too deeply"):
        read(tmp_path / "a.gltf")


def test_glossiness_is_read_as_its_base_colour(tmp_path: Path) -> None:
    def glossy(tree: dict[str, Any]) -> None:
        tree["materials"] = [{"extensions": {"KHR_materials_pbrSpecularGlossiness": {"diffuseFactor": [0.2, 1, 0, 1]}}}]
        tree["meshes"][0]["primitives"][0]["material"] = 0

    found = read(gltf(tmp_path, glossy))
    assert found.mesh.colors is not None
    np.testing.assert_allclose(found.mesh.colors[0], [0.4845, 1.0, 0.0], atol=0.004)


@pytest.mark.parametrize("kind", ["obj", "ply"])
@pytest.mark.parametrize("place", ["postscript.png", "../private.png", "link.png"])
def test_textures_come_from_the_files_own_folder_and_are_pictures(tmp_path: Path, kind: str, place: str) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "private.png")
    (folder / "postscript.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage")
    (folder / "link.png").symlink_to(tmp_path / "private.png")
    (folder / "a.mtl").write_text(f"newmtl x\nmap_Kd {place}\n")
    texts = {
        "obj": "mtllib a.mtl\nv 0 0 0\nv 1 0 0\nv 0 1 0\nvt 0 0\nvt 1 0\nvt 0 1\nusemtl x\nf 1/1 2/2 3/3\n",
        "ply": f"ply\nformat ascii 1.0\ncomment TextureFile {place}\nelement vertex 3\nproperty float x\nproperty float y\n"
        "property float z\nproperty float s\nproperty float t\nelement face 1\nproperty list uchar int vertex_indices\nend_header\n"
        "0 0 0 0 0\n1 0 0 1 0\n0 1 0 0 1\n3 0 1 2\n",
    }
    (folder / f"a.{kind}").write_text(texts[kind])
    with pytest.raises(ExportError, match="lies outside the file's own folder|is no PNG, JPEG, WebP"):
        read(folder / f"a.{kind}")


def test_a_mesh_without_a_surface_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.obj").write_text("v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n")
    with pytest.raises(ExportError, match="all in one line"):
        read(tmp_path / "a.obj")


def test_any_mesh_can_be_read_back(tmp_path: Path) -> None:
    for name in ("a.glb", "a.obj", "a.ply", "a.stl"):
        found = read(write(tmp_path / name, Catalog.discover()))
        assert len(found.mesh.faces) == 12
        if name != "a.stl":
            colors = found.mesh.colors if found.mesh.uvs is None else as_floats(found.material.base_color)
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
