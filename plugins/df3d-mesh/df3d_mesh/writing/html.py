"""A page that shows the asset: the model to turn by hand, the turntable, the prompt, and how it was made.

One file that works from disk without a network: the viewer is trimesh's, three.js inside.
"""

from __future__ import annotations

import html
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

from trimesh.exchange.gltf import export_glb
from trimesh.viewer.notebook import scene_to_html

import df3d
from df3d import NoConfig
from df3d.mesh.finished import fitted
from df3d.system.files import replace_atomically
from df3d.system.text import html_picture_of, html_text
from df3d.types import MeshAsset
from df3d_mesh.writing.glb import completer, scene
from df3d_mesh.writing.trimeshes import texture_image

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem; color: #222 }
main { display: flex; gap: 1.5rem; flex-wrap: wrap } iframe { flex: 2 1 30rem; height: 30rem; border: 0; border-radius: 8px }
aside { flex: 1 1 16rem } img { max-width: 100%; border-radius: 8px } td { padding: .2rem .8rem .2rem 0; vertical-align: top }
"""


class HtmlExporter:
    def __init__(self, config: NoConfig) -> None: ...

    def write(self, asset: MeshAsset, path: Path) -> list[Path]:
        """A `turntable.webp` beside `path`, which every run has, goes into the page."""
        text = page(asset, html_picture_of(path.with_name("turntable.webp"), "turntable"))
        replace_atomically(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
        return [path]


def page(asset: MeshAsset, picture: str) -> str:
    viewer = html.escape(scene_to_html(_Scene(_shown(asset))), quote=True)
    facts = {"triangles": len(asset.mesh.faces), "vertices": len(asset.mesh.vertices), "texture": _texture(asset)}
    rows = "".join(
        f"<tr><td>{html_text(k)}</td><td>{html_text(_words(v))}</td></tr>" for k, v in (facts | asset.provenance).items()
    )
    title = html_text(asset.provenance.get("prompt", "asset"))
    return (
        f'<!doctype html><html lang=en><meta charset=utf-8><meta name=generator content="df3d {df3d.__version__}">'
        f"<title>{title}</title><style>{STYLE}</style><h1>{title}</h1>"
        f'<main><iframe title="model" srcdoc="{viewer}"></iframe><aside>{picture}<table>{rows}</table></aside></main></html>'
    )


class _Scene:
    """What trimesh's page asks of a scene: an asset as our own GLB, which has in it what trimesh's leaves out."""

    def __init__(self, asset: MeshAsset) -> None:
        self._asset, self._scene = asset, scene(asset)
        self.camera = self._scene.camera

    def export(self, file_type: str) -> bytes:
        return bytes(export_glb(self._scene, include_normals=True, tree_postprocessor=completer(self._asset)))


def _shown(asset: MeshAsset) -> MeshAsset:
    """Around the middle and of one size, since viewers see little of what is far away or tiny; lit, and no mirror of nothing."""
    first, *others = (replace(material, unlit=False, metallic=0.0) for material in asset.materials)
    return replace(asset, mesh=fitted(asset.mesh), material=first, others=tuple(others))


def _texture(asset: MeshAsset) -> str:
    if asset.mesh.uvs is None:
        return "none"
    height, width = asset.material.base_color.shape[:2]
    data = io.BytesIO()
    texture_image(asset.material).save(data, "PNG")
    return f"{width} x {height}, {len(data.getvalue()) / 1e6:.1f} MB"


def _words(value: Any) -> str:
    return ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
