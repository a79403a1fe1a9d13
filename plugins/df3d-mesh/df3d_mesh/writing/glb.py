"""GLB as viewers want it: metallic 0, an embedded PNG in sRGB, unit normals, provenance in `asset.extras`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import trimesh
from trimesh.exchange.gltf import export_glb
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

import df3d
from df3d import NoConfig
from df3d.system.files import replace_atomically
from df3d.types import MeshAsset
from df3d_mesh.writing.trimeshes import geometries, normal_image, shape, texture_image


class GlbExporter:
    def __init__(self, config: NoConfig) -> None: ...

    def write(self, asset: MeshAsset, path: Path) -> list[Path]:
        data = export_glb(scene(asset), include_normals=True, tree_postprocessor=completer(asset))
        replace_atomically(path, lambda temporary: temporary.write_bytes(data))
        return [path]


def scene(asset: MeshAsset) -> trimesh.Scene:
    """The asset as trimesh's glTF writers take it."""
    if asset.others or asset.material.opacity is not None:
        return trimesh.Scene({f"object-{index}": mesh for index, mesh in enumerate(geometries(asset))})
    mesh = shape(asset.mesh)
    material = PBRMaterial(
        name="albedo",
        baseColorTexture=texture_image(asset),
        normalTexture=normal_image(asset),
        metallicFactor=asset.material.metallic,
        roughnessFactor=asset.material.roughness,
        doubleSided=True,
    )
    mesh.visual = TextureVisuals(uv=asset.mesh.uvs, material=material)
    if asset.mesh.tangents is not None:
        mesh.vertex_attributes["_TANGENT"] = asset.mesh.tangents
    return trimesh.Scene({"object": mesh})


def completer(asset: MeshAsset) -> Callable[[dict[str, Any]], None]:
    """What puts into the file's tree the things that trimesh leaves out."""

    def complete(tree: dict[str, Any]) -> None:
        tree["asset"] = {"version": "2.0", "generator": f"df3d {df3d.__version__}", "extras": asset.provenance}
        attributes = tree["meshes"][0]["primitives"][0]["attributes"]
        if "_TANGENT" in attributes:  # trimesh takes it for an attribute of ours
            attributes["TANGENT"] = attributes.pop("_TANGENT")
        for texture in tree.get("textures", []):
            texture["sampler"] = 0
        if asset.material.unlit:
            tree["extensionsUsed"] = ["KHR_materials_unlit"]
            for material in tree["materials"]:
                material["extensions"] = {"KHR_materials_unlit": {}}
        uvs = asset.mesh.uvs
        wrap = 33071 if uvs is not None and ((uvs >= 0) & (uvs <= 1)).all() else 10497  # no bleeding where nothing repeats
        tree["samplers"] = [{"magFilter": 9729, "minFilter": 9987, "wrapS": wrap, "wrapT": wrap}]

    return complete
