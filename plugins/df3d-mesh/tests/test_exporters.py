"""What the files say, read back with other people's code; the GLB by the Khronos validator."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from df3d_mesh.reading.importer import read
from df3d_mesh.writing.glb import GlbExporter
from df3d_mesh.writing.gltf import GltfExporter
from df3d_mesh.writing.html import HtmlExporter, _shown
from df3d_mesh.writing.obj import ObjExporter
from df3d_mesh.writing.ply import PlyExporter
from df3d_mesh.writing.stl import StlExporter
from df3d_mesh.writing.trimeshes import texel
from PIL import Image

from df3d import NoConfig
from df3d.errors import ExportError
from df3d.mesh import texture
from df3d.types import Material, Mesh, MeshAsset


@pytest.fixture
def asset() -> MeshAsset:
    """A box with a texture whose rows tell top from bottom: red above, blue below."""
    box = trimesh.creation.box((0.6, 1.0, 0.4))
    vertices, faces = box.vertices[box.faces].reshape(-1, 3), np.arange(len(box.faces) * 3).reshape(-1, 3)
    normals = np.repeat(box.face_normals, 3, axis=0)
    uvs = np.stack([vertices[:, 0] + 0.5, 0.8 * vertices[:, 1] + 0.5], axis=1)
    image = np.zeros((64, 64, 3), np.float32)
    image[:32, :, 0], image[32:, :, 2] = 1.0, 1.0
    mesh = Mesh(vertices.astype(np.float32), faces, normals.astype(np.float32), uvs.astype(np.float32))
    return MeshAsset(mesh, Material(image), provenance={"prompt": "a box\nwith a line", "seed": 3})


def chunk(path: Path) -> dict[str, object]:
    data = path.read_bytes()
    return json.loads(data[20 : 20 + int.from_bytes(data[12:16], "little")])


def test_the_glb_is_what_viewers_expect(asset: MeshAsset, tmp_path: Path) -> None:
    assert GlbExporter(NoConfig()).write(asset, tmp_path / "a.glb") == [tmp_path / "a.glb"]
    tree = chunk(tmp_path / "a.glb")
    assert tree["asset"]["extras"] == {"prompt": "a box\nwith a line", "seed": 3}  # type: ignore[index]
    material = tree["materials"][0]  # type: ignore[index]
    assert material["pbrMetallicRoughness"]["metallicFactor"] == 0.0
    assert material["pbrMetallicRoughness"]["roughnessFactor"] == pytest.approx(0.9)
    attributes = tree["meshes"][0]["primitives"][0]["attributes"]  # type: ignore[index]
    assert set(attributes) == {"POSITION", "NORMAL", "TEXCOORD_0"}
    assert tree["images"][0]["mimeType"] == "image/png"  # type: ignore[index]


def test_the_glb_comes_back_the_same_way_up(asset: MeshAsset, tmp_path: Path) -> None:
    GlbExporter(NoConfig()).write(asset, tmp_path / "a.glb")
    back = trimesh.load(tmp_path / "a.glb", force="mesh")
    np.testing.assert_allclose(back.bounds, [[-0.3, -0.5, -0.2], [0.3, 0.5, 0.2]], atol=1e-6)
    image = np.asarray(back.visual.material.baseColorTexture.convert("RGB"))
    uv = back.visual.uv
    top = back.vertices[:, 1] > 0
    rows = np.clip(((1 - uv[:, 1]) * 64).astype(int), 0, 63)
    assert (image[rows[top], 32] == (255, 0, 0)).all()
    assert (image[rows[~top], 32] == (0, 0, 255)).all()


def test_gltf_as_text_holds_what_the_glb_holds(asset: MeshAsset, tmp_path: Path) -> None:
    GlbExporter(NoConfig()).write(asset, tmp_path / "a.glb")
    assert GltfExporter(NoConfig()).write(asset, tmp_path / "a.gltf") == [tmp_path / "a.gltf"]
    binary, text = read(tmp_path / "a.glb"), read(tmp_path / "a.gltf")
    assert text.provenance == binary.provenance == asset.provenance
    np.testing.assert_array_equal(text.mesh.vertices, binary.mesh.vertices)
    np.testing.assert_array_equal(text.material.base_color, binary.material.base_color)


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
@pytest.mark.parametrize(("exporter", "name"), [(GlbExporter, "a.glb"), (GltfExporter, "a.gltf")])
@pytest.mark.parametrize("mapped", [False, True])
def test_the_khronos_validator_has_nothing_to_say(
    asset: MeshAsset, tmp_path: Path, validator: Path, exporter: type[GlbExporter | GltfExporter], name: str, mapped: bool
) -> None:
    exporter(NoConfig()).write(with_normal_map(asset) if mapped else asset, tmp_path / name)
    script = (
        "const v=require('gltf-validator');v.validateBytes(new Uint8Array(require('fs').readFileSync(process.argv[1])))"
        ".then(r=>console.log(JSON.stringify(r.issues)))"
    )
    done = subprocess.run(["node", "-e", script, str(tmp_path / name)], cwd=validator, capture_output=True, text=True, check=True)
    issues = json.loads(done.stdout)
    assert (issues["numErrors"], issues["numWarnings"]) == (0, 0), issues["messages"]


@pytest.fixture(scope="session")
def validator(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which node finds the Khronos glTF validator."""
    folder = tmp_path_factory.mktemp("validator")
    subprocess.run(
        ["npm", "install", "--silent", "--no-audit", "gltf-validator@2.0.0-dev.3.10"], cwd=folder, check=True, timeout=300
    )
    return folder


def with_normal_map(asset: MeshAsset) -> MeshAsset:
    mesh = replace(asset.mesh, tangents=texture.tangents(asset.mesh))
    return replace(asset, mesh=mesh, material=replace(asset.material, normal=np.full((8, 8, 3), (0.5, 0.5, 1.0), np.float32)))


def test_the_normal_map_of_an_obj_lies_beside_it(asset: MeshAsset, tmp_path: Path) -> None:
    files = ObjExporter(NoConfig()).write(with_normal_map(asset), tmp_path / "a.obj")
    assert files[-1].name == "a-normal.png"
    assert "norm a-normal.png" in (tmp_path / "a.mtl").read_text()
    with Image.open(files[-1]) as picture:
        assert picture.convert("RGB").getpixel((3, 3)) == (128, 128, 255)


def test_obj_and_mtl_and_png(asset: MeshAsset, tmp_path: Path) -> None:
    files = ObjExporter(NoConfig()).write(asset, tmp_path / "a.obj")
    assert [path.name for path in files] == ["a.obj", "a.mtl", "a-albedo.png"]
    text = (tmp_path / "a.obj").read_text().splitlines()
    assert text[0] == "# df3d: a box with a line"
    assert text[1] == "mtllib a.mtl"
    assert "map_Kd a-albedo.png" in (tmp_path / "a.mtl").read_text()
    back = trimesh.load(tmp_path / "a.obj", force="mesh")
    np.testing.assert_allclose(back.bounds, [[-0.3, -0.5, -0.2], [0.3, 0.5, 0.2]], atol=1e-6)
    assert len(back.faces) == len(asset.mesh.faces)
    rows = np.clip(((1 - back.visual.uv[:, 1]) * 64).astype(int), 0, 63)
    image = np.asarray(back.visual.material.image.convert("RGB"))
    assert (image[rows, 32, 0] > 0).tolist() == (back.vertices[:, 1] > 0).tolist()


def test_ply_has_the_textures_colours(asset: MeshAsset, tmp_path: Path) -> None:
    PlyExporter(NoConfig()).write(asset, tmp_path / "a.ply")
    back = trimesh.load(tmp_path / "a.ply", process=False)
    top = back.vertices[:, 1] > 0
    assert (back.visual.vertex_colors[top][:, :3] == (255, 0, 0)).all()
    assert (back.visual.vertex_colors[~top][:, :3] == (0, 0, 255)).all()


@pytest.mark.parametrize("size", [1e-7, 1.0, 1e7])
def test_stl_is_closed(asset: MeshAsset, tmp_path: Path, size: float) -> None:
    sized = replace(asset, mesh=replace(asset.mesh, vertices=asset.mesh.vertices * size))
    StlExporter(NoConfig()).write(sized, tmp_path / "a.stl")
    assert len(read(tmp_path / "a.stl").mesh.faces) == len(asset.mesh.faces)
    if size != 1:
        return  # trimesh's own reader joins by a fixed distance
    assert trimesh.load(tmp_path / "a.stl").is_watertight


def test_a_usdz_opens_with_its_mesh_and_texture(tmp_path: Path) -> None:
    usd = pytest.importorskip("pxr.Usd", reason="needs usd-core")
    from df3d_mesh.writing.usdz import UsdzExporter
    from pxr import UsdGeom, UsdShade

    corners = np.eye(3, dtype=np.float32)
    mesh = Mesh(corners, np.array([[0, 1, 2]]), normals=np.full((3, 3), 3**-0.5, np.float32), uvs=corners[:, :2].copy())
    UsdzExporter(NoConfig()).write(MeshAsset(mesh, Material(np.ones((4, 4, 3), np.float32))), tmp_path / "a.usdz")
    stage = usd.Stage.Open(str(tmp_path / "a.usdz"))
    found = UsdGeom.Mesh(stage.GetPrimAtPath("/asset/mesh"))
    assert np.array(found.GetPointsAttr().Get()).tolist() == corners.tolist()
    material = UsdShade.MaterialBindingAPI(found.GetPrim()).ComputeBoundMaterial()[0]
    assert material.GetPath() == "/asset/material"
    texture = stage.GetPrimAtPath("/asset/material/albedo").GetAttribute("inputs:file").Get()
    assert texture.path.endswith("albedo.png")


@pytest.mark.parametrize("unlit", [True, False])
def test_unlit_is_said_in_the_file(tmp_path: Path, unlit: bool) -> None:
    corners = np.eye(3, dtype=np.float32)
    mesh = Mesh(corners, np.array([[0, 1, 2]]), normals=np.full((3, 3), 3**-0.5, np.float32), uvs=corners[:, :2].copy())
    asset = MeshAsset(mesh, Material(np.ones((4, 4, 3), np.float32), unlit=unlit))
    GlbExporter(NoConfig()).write(asset, tmp_path / "a.glb")
    data = (tmp_path / "a.glb").read_bytes()
    tree = json.loads(data[20 : 20 + struct.unpack_from("<I", data, 12)[0]])
    assert ("KHR_materials_unlit" in tree.get("extensionsUsed", [])) == unlit
    assert ("extensions" in tree["materials"][0]) == unlit


def test_an_open_mesh_is_no_stl(tmp_path: Path) -> None:
    two = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [5, 5, 5], [6, 5, 5], [5, 6, 5]], np.float32)
    asset = MeshAsset(Mesh(two, np.array([[0, 1, 2], [3, 4, 5]])), Material(np.ones((1, 1, 3), np.float32)))
    with pytest.raises(ExportError, match="not watertight"):
        StlExporter(NoConfig()).write(asset, tmp_path / "a.stl")
    assert not (tmp_path / "a.stl").exists()


def flat(*, uvs: np.ndarray | None = None, colors: np.ndarray | None = None, **material: Any) -> MeshAsset:
    """A square, with coordinates within its texture unless others are given."""
    corners = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], np.float32)
    normals = np.tile(np.float32([0, 0, 1]), (4, 1))
    mesh = Mesh(corners, np.array([[0, 1, 2], [0, 2, 3]]), normals, corners[:, :2].copy() if uvs is None else uvs, colors=colors)
    return MeshAsset(mesh, Material(**{"base_color": np.full((2, 2, 3), 0.5, np.float32), **material}))


def tree_of(asset: MeshAsset, folder: Path) -> dict[str, Any]:
    GlbExporter(NoConfig()).write(asset, folder / "a.glb")
    return chunk(folder / "a.glb")


OPACITY = np.full((2, 2), 0.25, np.float32)


@pytest.mark.parametrize(
    ("material", "said"),
    [
        ({}, {"alphaMode": "OPAQUE"}),
        ({"opacity": OPACITY}, {"alphaMode": "BLEND"}),
        ({"opacity": OPACITY, "cutoff": 0.375}, {"alphaMode": "MASK", "alphaCutoff": 0.375}),
    ],
)
def test_how_solid_a_material_is_in_a_glb(tmp_path: Path, material: dict[str, Any], said: dict[str, Any]) -> None:
    (entry,) = tree_of(flat(**material), tmp_path)["materials"]
    assert {key: entry[key] for key in ("alphaMode", "alphaCutoff") if entry.get(key) is not None} == said
    again = read(tmp_path / "a.glb").material
    assert again.cutoff == material.get("cutoff")
    assert (again.opacity is None) == ("opacity" not in material)


@pytest.mark.parametrize("two_sided", [True, False])
def test_what_else_a_glb_says_of_a_material(tmp_path: Path, two_sided: bool) -> None:
    tree = tree_of(flat(two_sided=two_sided, metallic=0.25, roughness=0.5), tmp_path)
    (entry,) = tree["materials"]
    assert bool(entry.get("doubleSided")) == two_sided
    assert entry["pbrMetallicRoughness"]["metallicFactor"] == 0.25
    assert entry["pbrMetallicRoughness"]["roughnessFactor"] == 0.5
    assert "name" not in entry
    assert tree["asset"]["generator"].startswith("df3d ")


@pytest.mark.parametrize(
    ("scale", "material", "sampler"),
    [
        (1.0, {"wrap": ("repeat", "mirror")}, (9729, 33071, 33071)),  # no bleeding where nothing repeats
        (2.0, {"wrap": ("repeat", "mirror")}, (9729, 10497, 33648)),
        (2.0, {"wrap": ("clamp", "repeat"), "nearest": True}, (9728, 33071, 10497)),
    ],
)
def test_samplers_say_how_a_texture_is_looked_up(
    tmp_path: Path, scale: float, material: dict[str, Any], sampler: tuple[int, ...]
) -> None:
    asset = flat(uvs=np.float32([[0, 0], [1, 0], [1, 1], [0, 1]]) * np.float32(scale), **material)
    (found,) = tree_of(asset, tmp_path)["samplers"]
    assert (found["magFilter"], found["wrapS"], found["wrapT"]) == sampler
    assert found["minFilter"] == 9987


def test_normal_maps_and_tangents_are_in_the_glb(asset: MeshAsset, tmp_path: Path) -> None:
    tree = tree_of(with_normal_map(asset), tmp_path)
    assert "TANGENT" in tree["meshes"][0]["primitives"][0]["attributes"]
    assert {texture["sampler"] for texture in tree["textures"]} == {0}
    assert len(tree["textures"]) == 2


def test_colours_of_vertices_are_linear_in_a_glb(tmp_path: Path) -> None:
    colors = np.full((4, 3), 0.5, np.float32)
    GlbExporter(NoConfig()).write(flat(colors=colors), tmp_path / "a.glb")
    scene = trimesh.load(tmp_path / "a.glb", process=False)
    (mesh,) = scene.geometry.values()
    found = np.asarray(
        mesh.vertex_attributes["color"] if "color" in mesh.vertex_attributes else mesh.visual.vertex_attributes["color"]
    )
    np.testing.assert_allclose(found[:, :3] / (255 if found.max() > 1 else 1), 0.214, atol=0.003)


@pytest.mark.parametrize(("exporter", "name"), [(ObjExporter, "a.obj"), (PlyExporter, "a.ply")])
def test_several_materials_and_textures_that_end_are_refused_where_they_would_be_lost(
    tmp_path: Path, exporter: type[ObjExporter | PlyExporter], name: str
) -> None:
    asset = flat()
    several = replace(
        asset, mesh=replace(asset.mesh, materials=np.array([0, 1])), others=(Material(np.ones((1, 1, 3), np.float32)),)
    )
    with pytest.raises(ExportError, match="one material, and this mesh has 2"):
        exporter(NoConfig()).write(several, tmp_path / name)
    with pytest.raises(ExportError, match="no opacity, and this mesh has one"):
        exporter(NoConfig()).write(flat(opacity=OPACITY), tmp_path / name)
    beyond = np.float32([[0, 0], [2, 0], [2, 1], [0, 1]])
    ObjExporter(NoConfig()).write(flat(wrap=("clamp", "clamp")), tmp_path / "a.obj")  # it ends nowhere that is seen
    ObjExporter(NoConfig()).write(flat(uvs=beyond), tmp_path / "a.obj")
    with pytest.raises(ExportError, match="textures that repeat, and this mesh has one that does not"):
        ObjExporter(NoConfig()).write(flat(uvs=beyond, wrap=("clamp", "repeat")), tmp_path / "a.obj")
    PlyExporter(NoConfig()).write(flat(uvs=beyond, wrap=("clamp", "repeat")), tmp_path / "a.ply")  # which has its colours


def test_texels_are_those_where_the_coordinates_lie() -> None:
    """Two columns and two rows, the first row on top; each axis goes on in its own way."""
    image = np.array([[[0.0] * 3, [0.2] * 3], [[0.4] * 3, [0.6] * 3]], np.float32)
    uvs = np.float32([[0.25, 0.75], [0.75, 0.25], [1.25, 0.25], [-0.25, 0.25], [0.25, 1.25], [1.0, 0.0], [0.0, 1.0]])

    def found(*wrap: Any) -> list[float]:
        return [round(float(value), 1) for value in texel(flat(base_color=image, wrap=wrap), uvs)[:, 0]]

    assert found("repeat", "repeat") == [0.0, 0.6, 0.4, 0.6, 0.4, 0.6, 0.0]
    assert found("clamp", "repeat") == [0.0, 0.6, 0.6, 0.4, 0.4, 0.6, 0.0]
    assert found("mirror", "clamp") == [0.0, 0.6, 0.6, 0.4, 0.0, 0.6, 0.0]
    image = np.linspace(0, 0.7, 8, dtype=np.float32).reshape(2, 4, 1).repeat(3, axis=2)  # two rows of four
    uvs = np.float32([[0.125, 0.75], [0.875, 0.75], [0.375, 0.25], [0.875, 0.25]])
    assert found("repeat", "repeat") == [0.0, 0.3, 0.5, 0.7]


def test_a_ply_has_normals_and_the_product_of_both_kinds_of_colours(tmp_path: Path) -> None:
    """Linear 0.214 (sRGB 0.5) times the same is 0.0458, sRGB 0.237."""
    PlyExporter(NoConfig()).write(flat(colors=np.full((4, 3), 0.5, np.float32)), tmp_path / "a.ply")
    back = trimesh.load(tmp_path / "a.ply", process=False)
    assert back.visual.vertex_colors[0, :3].tolist() == [60, 60, 60]
    assert b"property float nx" in (tmp_path / "a.ply").read_bytes()[:1000]
    alone = flat(colors=np.full((4, 3), 0.5, np.float32))
    PlyExporter(NoConfig()).write(replace(alone, mesh=replace(alone.mesh, uvs=None)), tmp_path / "b.ply")
    assert trimesh.load(tmp_path / "b.ply", process=False).visual.vertex_colors[0, :3].tolist() == [128, 128, 128]


def test_holes_of_an_stl_are_filled(tmp_path: Path) -> None:
    box = trimesh.creation.box()
    asset = MeshAsset(Mesh(box.vertices.astype(np.float32), box.faces[1:]), Material(np.ones((1, 1, 3), np.float32)))
    StlExporter(NoConfig()).write(asset, tmp_path / "a.stl")
    back = trimesh.load(tmp_path / "a.stl")
    assert back.is_watertight
    assert len(back.faces) == 12
    assert back.volume == pytest.approx(1.0)


@pytest.mark.parametrize(("uvs", "normals", "corner"), [(1, 1, "1/1/1"), (1, 0, "1/1"), (0, 1, "1//1"), (0, 0, "1")])
def test_corners_of_an_obj_name_what_there_is(tmp_path: Path, uvs: int, normals: int, corner: str) -> None:
    asset = flat()
    mesh = replace(asset.mesh, uvs=asset.mesh.uvs if uvs else None, normals=asset.mesh.normals if normals else None)
    ObjExporter(NoConfig()).write(replace(asset, mesh=mesh), tmp_path / "a.obj")
    lines = (tmp_path / "a.obj").read_text().splitlines()
    assert [line.split()[1] for line in lines if line.startswith("f ")] == [corner, corner]
    assert lines[-1].split()[1:] == [corner.replace("1", number) for number in "134"]
    assert ("map_Kd" in (tmp_path / "a.mtl").read_text()) == bool(uvs)
    assert [bool(sum(line.startswith(f"{key} ") for line in lines)) for key in ("vt", "vn")] == [bool(uvs), bool(normals)]


def test_a_page_says_what_it_shows(asset: MeshAsset, tmp_path: Path) -> None:
    """Lit, no mirror, and of one size, whatever the file is for other viewers."""
    vast = replace(asset.mesh, vertices=asset.mesh.vertices * 1000 + 5000)
    own = replace(asset, mesh=vast, material=replace(asset.material, unlit=True, metallic=1.0))
    HtmlExporter(NoConfig()).write(own, tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert "<title>a box" in text
    for name, value in (("triangles", "12"), ("vertices", "36"), ("seed", "3"), ("texture", "64 x 64, 0.0 MB")):
        assert f"<td>{name}</td><td>{value}</td>" in text
    assert "<img" not in text  # there is no turntable beside it
    shown = _shown(own)
    assert (shown.material.unlit, shown.material.metallic) == (False, 0.0)
    assert float(np.linalg.norm(shown.mesh.vertices, axis=1).max()) < 2
    assert own.material.unlit
    Image.new("RGB", (4, 4), (9, 9, 9)).save(tmp_path / "turntable.webp")
    HtmlExporter(NoConfig()).write(replace(own, mesh=replace(vast, uvs=None)), tmp_path / "a.html")
    text = (tmp_path / "a.html").read_text()
    assert "<img" in text
    assert "<td>texture</td><td>none</td>" in text
