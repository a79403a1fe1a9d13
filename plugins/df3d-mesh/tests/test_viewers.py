"""What people's own programs show of our files: three.js and <model-viewer> in a headless browser, and Blender."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import trimesh
from df3d_mesh.writing.glb import GlbExporter
from df3d_mesh.writing.obj import ObjExporter
from PIL import Image

from df3d import NoConfig
from df3d.types import Material, Mesh, MeshAsset

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SIZE = 256
in_a_browser = pytest.mark.skipif(not BROWSER or not shutil.which("npm"), reason="needs Chromium and npm")

# The browser takes its picture when the page has loaded: the image /hold comes only after the page has asked for /drawn.
HEAD = """<!doctype html><style>body{margin:0} img{position:absolute;top:-9px}</style><img src=/hold>
<script>const drawn = () => requestAnimationFrame(() => requestAnimationFrame(() => fetch('/drawn')))</script>"""

THREE = """
<script type=importmap>{"imports":{"three":"/node_modules/three/build/three.module.js",
"three/addons/":"/node_modules/three/examples/jsm/"}}</script>
<script type=module>
import * as THREE from 'three'
import {GLTFLoader} from 'three/addons/loaders/GLTFLoader.js'
import {OBJLoader} from 'three/addons/loaders/OBJLoader.js'
import {MTLLoader} from 'three/addons/loaders/MTLLoader.js'
const renderer = new THREE.WebGLRenderer({preserveDrawingBuffer: true})
renderer.setSize(SIZE, SIZE); document.body.append(renderer.domElement)
const scene = new THREE.Scene(); scene.background = new THREE.Color('white')
const camera = new THREE.PerspectiveCamera(40, 1, .1, 10); camera.position.set(0, 0, 2.5)
let model
if ('NAME'.endsWith('.glb')) model = (await new GLTFLoader().loadAsync('NAME')).scene
else model = await new OBJLoader().setMaterials(await new MTLLoader().loadAsync('NAME'.replace('obj', 'mtl'))).loadAsync('NAME')
if (UNLIT) model.traverse(part => { if (part.isMesh) part.material = new THREE.MeshBasicMaterial({map: part.material.map}) })
else scene.add(new THREE.HemisphereLight('white', 'white', 3))
scene.add(model)
const draw = () => { renderer.render(scene, camera); drawn() }
if ('NAME'.endsWith('.glb')) draw()
else THREE.DefaultLoadingManager.onLoad = draw  // its texture comes later
</script>"""

MODEL_VIEWER = """<style>model-viewer{width:SIZEpx;height:SIZEpx}</style>
<script type=module src="/node_modules/@google/model-viewer/dist/model-viewer.min.js"></script>
<model-viewer src="NAME" camera-orbit="0deg 90deg 2.5m" interaction-prompt=none loading=eager></model-viewer>
<script>document.querySelector('model-viewer').addEventListener('load', drawn)</script>"""


@pytest.fixture
def asset() -> MeshAsset:
    """A box: red in front (+Z), blue behind, and green on the upper half of both."""
    box = trimesh.creation.box((0.6, 1.0, 0.4))
    vertices, faces = box.vertices[box.faces].reshape(-1, 3), np.arange(len(box.faces) * 3).reshape(-1, 3)
    normals = np.repeat(box.face_normals, 3, axis=0)
    front = normals[:, 2] > 0
    uvs = np.stack([np.where(front, 0.25, 0.75) + 0.1 * vertices[:, 0], 0.9 * vertices[:, 1] + 0.5], axis=1)
    image = np.zeros((64, 64, 3), np.float32)
    image[:32, :, 1] = image[32:, :32, 0] = image[32:, 32:, 2] = 1.0
    mesh = Mesh(vertices.astype(np.float32), faces, normals.astype(np.float32), uvs.astype(np.float32))
    return MeshAsset(mesh, Material(image))


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with <model-viewer>, and with three.js, which it asks for."""
    folder = tmp_path_factory.mktemp("viewers")
    subprocess.run(["npm", "install", "--silent", "--no-audit", "@google/model-viewer@4.4.0"], cwd=folder, check=True, timeout=300)
    return folder


class _Server(http.server.SimpleHTTPRequestHandler):
    def __init__(self, *arguments: Any, drawn: threading.Event, **options: Any) -> None:
        self.drawn = drawn
        super().__init__(*arguments, **options)

    def do_GET(self) -> None:
        if self.path == "/drawn":
            self.drawn.set()
        if self.path in ("/drawn", "/hold"):
            self.drawn.wait(60)
            self.send_error(404)
        else:
            super().do_GET()

    def log_message(self, *arguments: object) -> None: ...


@pytest.fixture
def show(packages: Path, tmp_path: Path) -> Iterator[Callable[..., np.ndarray]]:
    """show(page, name, unlit): what the browser draws of the file `name` in `tmp_path`, (SIZE, SIZE, 3) in [0, 1]."""
    (tmp_path / "node_modules").symlink_to(packages / "node_modules")
    drawn = threading.Event()
    serve = functools.partial(_Server, directory=tmp_path, drawn=drawn)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def screenshot(page: str, name: str, *, unlit: bool = False) -> np.ndarray:
        words = {"NAME": name, "UNLIT": str(unlit).lower(), "SIZE": str(SIZE)}
        for word, value in words.items():
            page = page.replace(word, value)
        (tmp_path / "page.html").write_text(HEAD + page)
        drawn.clear()
        assert BROWSER
        subprocess.run(
            [BROWSER, "--headless", "--no-sandbox", "--disable-dev-shm-usage", "--enable-unsafe-swiftshader", "--hide-scrollbars",
             f"--user-data-dir={tmp_path / 'browser'}", f"--window-size={SIZE},{SIZE + 200}", "--virtual-time-budget=20000",
             f"--screenshot={tmp_path / 'shot.png'}", f"http://127.0.0.1:{server.server_address[1]}/page.html"],
            check=True, capture_output=True, timeout=300,
        )  # fmt: skip
        assert drawn.is_set()
        with Image.open(tmp_path / "shot.png") as picture:
            return np.asarray(picture.convert("RGB"))[:SIZE, :SIZE] / 255

    yield screenshot
    server.shutdown()


def assert_front(picture: np.ndarray) -> None:
    """Green above red in the middle, neither black nor metallic, and nothing in the corner."""
    middle = SIZE // 2
    upper, lower = picture[middle - 25, middle], picture[middle + 25, middle]
    assert upper[1] > max(0.5, 2 * upper[0], 2 * upper[2]), upper
    assert lower[0] > max(0.5, 2 * lower[1], 2 * lower[2]), lower
    assert picture[-4, 4].min() > 0.9


@in_a_browser
@pytest.mark.parametrize("page", [THREE, MODEL_VIEWER], ids=["three.js", "model-viewer"])
def test_the_front_of_a_glb_faces_the_camera(asset: MeshAsset, tmp_path: Path, show: Callable[..., np.ndarray], page: str) -> None:
    GlbExporter(NoConfig()).write(asset, tmp_path / "a.glb")
    assert_front(show(page, "a.glb"))


@in_a_browser
def test_glb_and_obj_look_the_same(asset: MeshAsset, tmp_path: Path, show: Callable[..., np.ndarray]) -> None:
    GlbExporter(NoConfig()).write(asset, tmp_path / "a.glb")
    ObjExporter(NoConfig()).write(asset, tmp_path / "a.obj")
    glb, obj = (show(THREE, name, unlit=True) for name in ("a.glb", "a.obj"))
    assert_front(glb)
    assert np.abs(glb - obj).mean() < 0.004


BLENDER = """
import bpy, sys, numpy as np
path = sys.argv[1]
bpy.ops.wm.read_factory_settings(use_empty=True)
(bpy.ops.import_scene.gltf if path.endswith("glb") else bpy.ops.wm.obj_import)(filepath=path)
mesh, = [thing for thing in bpy.data.objects if thing.type == "MESH"]
nodes = mesh.data.materials[0].node_tree.nodes
image, = {node.image for node in nodes if node.type == "TEX_IMAGE"}
shader, = [node for node in nodes if node.type == "BSDF_PRINCIPLED"]
corners = np.array([mesh.matrix_world @ corner.co for corner in mesh.data.vertices])
print(len(mesh.data.polygons), *np.concatenate([corners.min(0), corners.max(0)]).round(4), *image.size,
      shader.inputs["Metallic"].default_value, image.colorspace_settings.name)
"""


@pytest.mark.skipif(importlib.util.find_spec("bpy") is None, reason="needs Blender's package, bpy")
@pytest.mark.parametrize("name", ["a.glb", "a.obj"])
def test_blender_imports_it_upright(asset: MeshAsset, tmp_path: Path, name: str) -> None:
    exporter = GlbExporter(NoConfig()) if name == "a.glb" else ObjExporter(NoConfig())
    exporter.write(asset, tmp_path / name)
    done = subprocess.run([sys.executable, "-c", BLENDER, str(tmp_path / name)], capture_output=True, text=True, check=True)
    # Blender is z-up and looks along +Y: our height is its z, our front its -Y.
    assert done.stdout.splitlines()[-1] == "12 -0.3 -0.2 -0.5 0.3 0.2 0.5 64 64 0.0 sRGB", done.stdout
