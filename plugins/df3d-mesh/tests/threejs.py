"""three.js in a headless browser as a second opinion: what it draws of a file, from the cameras that df3d draws with.

    python plugins/df3d-mesh/tests/threejs.py FOLDER... --out DIR

draws every mesh of the folders both ways, writes one row a file to DIR/table.csv and the pictures to DIR, and says which differ.
"""

from __future__ import annotations

import argparse
import csv
import http.server
import json
import queue
import shutil
import subprocess
import tempfile
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from df3d_mesh.reading.importer import read
from PIL import Image
from scipy.ndimage import binary_dilation, uniform_filter

from df3d.errors import Df3dError
from df3d.mesh.finished import RADIUS, drawable, fitted_asset
from df3d.plugin.catalog import Catalog
from df3d.scene.cameras import look_at
from df3d.types import AT_BEST, Cameras, MeshAsset

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
VERSION = "0.187.0"
SIZE = 192
ENDINGS = (".glb", ".gltf", ".obj", ".ply", ".stl")

# Colours are those of the materials without light: what a renderer adds to them is each program's own.
PAGE = """<!doctype html><script type=importmap>{"imports":{"three":"/node_modules/three/build/three.module.js",
"three/addons/":"/node_modules/three/examples/jsm/"}}</script><script type=module>
import * as THREE from 'three'
import {GLTFLoader} from 'three/addons/loaders/GLTFLoader.js'
import {DRACOLoader} from 'three/addons/loaders/DRACOLoader.js'
import {OBJLoader} from 'three/addons/loaders/OBJLoader.js'
import {MTLLoader} from 'three/addons/loaders/MTLLoader.js'
import {PLYLoader} from 'three/addons/loaders/PLYLoader.js'
import {STLLoader} from 'three/addons/loaders/STLLoader.js'
const renderer = new THREE.WebGLRenderer({antialias: true, preserveDrawingBuffer: true, alpha: true})
const unlit = material => {
  material.transmission = 0
  material.onBeforeCompile = shader => {
    const glow = shader.fragmentShader.includes('totalEmissiveRadiance') ? ' + totalEmissiveRadiance' : ''
    shader.fragmentShader = shader.fragmentShader.replace('#include <opaque_fragment>', `
      #ifdef OPAQUE
      diffuseColor.a = 1.0;
      #endif
      gl_FragColor = vec4(min(diffuseColor.rgb${glow}, vec3(1.0)), diffuseColor.a);`)
  }
  material.needsUpdate = true
}
const plain = geometry => {
  for (const [name, values] of Object.entries(geometry.attributes))  // WebGL has no doubles
    if (values.array instanceof Float64Array)
      geometry.setAttribute(name, new THREE.BufferAttribute(new Float32Array(values.array), values.itemSize))
  return new THREE.Mesh(geometry, new THREE.MeshBasicMaterial(
    {vertexColors: 'color' in geometry.attributes, side: THREE.DoubleSide}))
}
const gltf = new GLTFLoader().setDRACOLoader(
  new DRACOLoader().setDecoderPath('/node_modules/three/examples/jsm/libs/draco/gltf/'))
async function load(url, mtl) {
  const ending = url.split('.').pop().toLowerCase()
  if (ending === 'glb' || ending === 'gltf') return (await gltf.loadAsync(url)).scene
  if (ending === 'ply') return plain(await new PLYLoader().loadAsync(url))
  if (ending === 'stl') return plain(await new STLLoader().loadAsync(url))
  const loader = new OBJLoader()
  if (mtl) loader.setMaterials(await new MTLLoader().loadAsync(mtl))
  const model = await loader.loadAsync(url)
  model.traverse(part => { for (const one of [part.material ?? []].flat()) one.side = THREE.DoubleSide })  // OBJ has no sides
  return model
}
async function draw(job) {
  const pending = new Promise(done => { THREE.DefaultLoadingManager.onLoad = done; setTimeout(done, 20000) })
  const model = await load(job.url, job.mtl)
  await pending  // pictures of MTL come later
  model.traverse(part => {
    if (part.isPoints || part.isLine) part.visible = false
    if (part.isMesh) { part.frustumCulled = false; for (const material of [part.material].flat()) unlit(material) }
  })
  const holder = new THREE.Group()
  holder.add(model)
  model.position.sub(new THREE.Vector3(...job.middle))
  holder.scale.setScalar(job.scale)
  const scene = new THREE.Scene()
  scene.add(holder)
  renderer.setSize(job.size, job.size)
  const pixels = []
  for (const pose of job.poses) {
    const camera = new THREE.PerspectiveCamera(job.fov, 1, .05, 20)
    camera.matrixAutoUpdate = false
    camera.matrix.fromArray(pose)
    camera.matrixWorldNeedsUpdate = true
    for (const [color, alpha] of [[0xffffff, 1], [0x000000, 1]]) {
      renderer.setClearColor(color, alpha)
      renderer.render(scene, camera)
      const picture = new Uint8Array(4 * job.size * job.size), gl = renderer.getContext()
      gl.readPixels(0, 0, job.size, job.size, gl.RGBA, gl.UNSIGNED_BYTE, picture)
      pixels.push(picture)
    }
  }
  return new Blob(pixels)
}
for (;;) {
  const job = await (await fetch('/next')).json()
  let answer
  try { answer = await draw(job) } catch (error) { answer = 'error: ' + error }
  await fetch('/answer', {method: 'POST', body: answer})
}
</script>"""


class ThreeError(Exception):
    """three.js does not read a file."""


@dataclass(repr=False)
class Three:
    """A browser that waits for files to draw."""

    jobs: queue.Queue[dict[str, Any]]
    answers: queue.Queue[bytes]
    folders: dict[str, Path]

    def draw(self, path: Path, cameras: Cameras, middle: np.ndarray, scale: float, mtl: str | None = None) -> np.ndarray:
        """(V, H, W, 4) in [0, 1]: colours over white, and opacity, of a file whose `middle` is moved to the origin, and scaled.

        Raises ThreeError when three.js does not read it.
        """
        name = str(len(self.folders))
        self.folders[name] = path.parent.resolve()
        address = f"/files/{name}/"
        poses = cameras.pose.transpose(1, 2).reshape(len(cameras), 16).tolist()
        self.jobs.put(
            {
                "url": address + urllib.parse.quote(path.name), "mtl": mtl and address + urllib.parse.quote(mtl), "poses": poses,
                "middle": list(map(float, middle)), "scale": scale, "fov": float(cameras.fov_y[0]), "size": cameras.height,
            }
        )  # fmt: skip
        answer = self.answers.get(timeout=180)
        if answer.startswith(b"error: "):
            raise ThreeError(answer.decode(errors="replace")[7:])
        drawn = np.frombuffer(answer, np.uint8).reshape(len(cameras), 2, cameras.height, cameras.width, 4)[:, :, ::-1, :, :3] / 255
        opacity = 1 - (drawn[:, 0] - drawn[:, 1]).mean(axis=-1, keepdims=True)
        return np.concatenate([drawn[:, 0], opacity], axis=-1)


@contextmanager
def three() -> Iterator[Three]:
    """three.js in a browser of its own, fetched with npm."""
    it = Three(queue.Queue(), queue.Queue(), {})

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path).split("/")
            if parts[1] == "next":
                return self._send(json.dumps(it.jobs.get()).encode(), "application/json")
            if parts[1] == "":
                return self._send(PAGE.encode(), "text/html")
            if parts[1] not in ("node_modules", "files"):
                return self.send_error(404)
            root, rest = (packages, parts[1:]) if parts[1] == "node_modules" else (it.folders[parts[2]], parts[3:])
            path = root.joinpath(*rest)
            if not path.is_file():
                return self.send_error(404)
            return self._send(path.read_bytes(), "text/javascript" if path.suffix == ".js" else "application/octet-stream")

        def do_POST(self) -> None:
            it.answers.put(self.rfile.read(int(self.headers["Content-Length"])))
            self._send(b"", "text/plain")

        def _send(self, data: bytes, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *arguments: object) -> None: ...

    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        packages = Path(folder)
        subprocess.run(["npm", "install", "--silent", "--no-audit", f"three@{VERSION}"], cwd=folder, check=True, timeout=300)
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert BROWSER
        browser = subprocess.Popen(
            [BROWSER, "--headless", "--no-sandbox", "--disable-dev-shm-usage", "--enable-unsafe-swiftshader",
             f"--user-data-dir={packages / 'browser'}", "--remote-debugging-port=0", f"http://127.0.0.1:{server.server_address[1]}/"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        try:
            yield it
        finally:
            browser.kill()
            browser.wait()
            server.shutdown()


def cameras(size: int = SIZE) -> Cameras:
    """From the front above, from behind, and from below."""
    azimuth, elevation = torch.tensor([30.0, 200.0, 290.0]), torch.tensor([20.0, 35.0, -25.0])
    return look_at(azimuth, elevation, torch.full((3,), 3.0), torch.full((3,), 40.0), height=size, width=size)


def placed(asset: MeshAsset) -> tuple[np.ndarray, float]:
    """The point of a mesh that df3d draws at the origin, and by what it is scaled."""
    seen = asset.mesh.vertices[np.unique(asset.mesh.faces)]
    middle = (seen.min(0) + seen.max(0)) / 2
    return middle, float(RADIUS / np.linalg.norm(seen - middle, axis=1).max())


@torch.no_grad()
def ours(asset: MeshAsset, views: Cameras, catalog: Catalog) -> np.ndarray:
    """(V, H, W, 4) in [0, 1]: colours over white, and opacity, of what df3d draws."""
    light = {"albedo_until": 0.0, "lambertian": 1.0, "ambient": 1.0, "diffuse": 0.0, "light": "head"}
    field, renderer = drawable(fitted_asset(asset), catalog, {"background_color": [1.0] * 3, "shading": light}, device="cpu")
    drawn = [renderer.render(field, views[i : i + 1], AT_BEST) for i in range(len(views))]
    return torch.cat([torch.cat([view.rgb, view.opacity], dim=-1) for view in drawn]).numpy()


def likeness(one: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Of two stacks (V, H, W, 4): IoU of silhouettes that may differ by a pixel, and mean difference of blurred colours where
    both are, in [0, 1]: each program has its own way with edges and with textures that are seen from afar."""
    a, b = one[..., 3] > 0.4, other[..., 3] > 0.4
    wide = np.ones((1, 3, 3), bool)
    wrong = (a & ~binary_dilation(b, wide)) | (b & ~binary_dilation(a, wide))
    both = a & b
    blurred = [uniform_filter(np.nan_to_num(stack[..., :3], nan=9.0), (1, 7, 7, 1)) for stack in (one, other)]
    colour = float(np.abs(blurred[0] - blurred[1])[both].mean()) if both.any() else 0.0
    return 1 - float(wrong.sum() / max((a | b).sum(), 1)), colour


def material_file(path: Path) -> str | None:
    """The MTL that an OBJ names, if it is there."""
    if path.suffix.lower() != ".obj":
        return None
    for line in path.read_text(errors="replace").splitlines():
        if line.strip().startswith("mtllib ") and (path.parent / (name := line.split(None, 1)[1].strip())).is_file():
            return name
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    catalog, views = Catalog.discover(), cameras()
    files = [(root, path) for root in options.folders for path in sorted(root.rglob("*")) if path.suffix.lower() in ENDINGS]
    with three() as it, (options.out / "table.csv").open("w", newline="") as table:
        writer = csv.writer(table)
        writer.writerow(["number", "file", "iou", "colour", "notes", "error"])
        for number, (root, path) in enumerate(files):
            row: list[object] = [f"{root.name}/{path.relative_to(root)}"]
            try:
                asset = read(path)
                mine = ours(asset, views, catalog)
                theirs = it.draw(path, views, *placed(asset), material_file(path))
                iou, colour = likeness(mine, theirs)
                row += [f"{iou:.3f}", f"{colour:.3f}", "; ".join(asset.notes), ""]
                grey = [stack[..., :3] - 0.4 * (1 - stack[..., 3:]) for stack in (mine, theirs)]  # white things are seen too
                both = np.concatenate([np.concatenate(list(pictures), axis=1) for pictures in grey])
                Image.fromarray((both.clip(0, 1) * 255).astype(np.uint8)).save(options.out / f"{number:04d}.png")
            except Df3dError as error:
                row += ["", "", "", f"df3d: {error}"]
            except (ThreeError, queue.Empty) as error:
                row += ["", "", "; ".join(asset.notes), f"three.js: {error}"]
            writer.writerow([number, *row])
            table.flush()


if __name__ == "__main__":
    main()
