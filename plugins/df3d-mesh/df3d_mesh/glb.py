"""GLB as viewers want it: metallic 0, an embedded PNG in sRGB, unit normals, provenance in `asset.extras`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trimesh
from trimesh.exchange.gltf import export_glb
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

import df3d
from df3d.checkpoint import replace_atomically
from df3d.plugin import NoConfig
from df3d.types import Asset
from df3d_mesh.trimeshes import shape, texture_image


class GlbExporter:
    def __init__(self, config: NoConfig) -> None: ...

    def write(self, asset: Asset, path: Path) -> list[Path]:
        mesh = shape(asset.mesh)
        material = PBRMaterial(
            name="albedo",
            baseColorTexture=texture_image(asset),
            metallicFactor=asset.material.metallic,
            roughnessFactor=asset.material.roughness,
            doubleSided=True,
        )
        mesh.visual = TextureVisuals(uv=asset.mesh.uvs, material=material)

        def complete(tree: dict[str, Any]) -> None:
            tree["asset"] = {"version": "2.0", "generator": f"df3d {df3d.__version__}", "extras": asset.provenance}
            for texture in tree.get("textures", []):
                texture["sampler"] = 0
            if asset.material.unlit:
                tree["extensionsUsed"] = ["KHR_materials_unlit"]
                for material in tree["materials"]:
                    material["extensions"] = {"KHR_materials_unlit": {}}
            tree["samplers"] = [{"magFilter": 9729, "minFilter": 9987, "wrapS": 33071, "wrapT": 33071}]

        scene = trimesh.Scene({"object": mesh})
        data = export_glb(scene, include_normals=True, tree_postprocessor=complete)
        replace_atomically(path, lambda temporary: temporary.write_bytes(data))
        return [path]
