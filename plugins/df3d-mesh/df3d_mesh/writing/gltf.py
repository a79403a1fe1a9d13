"""glTF as text: the tree of the GLB, with its buffer and texture inside as base64."""

from __future__ import annotations

from pathlib import Path

from trimesh.exchange.gltf import export_gltf

from df3d import NoConfig
from df3d.system.files import replace_atomically
from df3d.types import MeshAsset
from df3d_mesh.writing.glb import completer, scene


class GltfExporter:
    def __init__(self, config: NoConfig) -> None: ...

    def write(self, asset: MeshAsset, path: Path) -> list[Path]:
        files = export_gltf(
            scene(asset), include_normals=True, merge_buffers=True, embed_buffers=True, tree_postprocessor=completer(asset)
        )
        (data,) = files.values()
        replace_atomically(path, lambda temporary: temporary.write_bytes(data))
        return [path]
