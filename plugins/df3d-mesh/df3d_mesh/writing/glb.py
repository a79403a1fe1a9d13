"""GLB as viewers want it: metallic 0, an embedded PNG in sRGB, unit normals, provenance in `asset.extras`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import trimesh
from trimesh.exchange.gltf import export_glb
from trimesh.visual import TextureVisuals
from trimesh.visual.material import PBRMaterial

import df3d
from df3d import NoConfig
from df3d.mesh.srgb import linear_colors
from df3d.system.files import replace_atomically
from df3d.types import Material, Mesh, MeshAsset, Wrap
from df3d_mesh.reading.gltf_materials import NEAREST, WRAPS
from df3d_mesh.writing.trimeshes import leaves, normal_image, shape, texture_image

CLAMPED: tuple[Wrap, Wrap] = ("clamp", "clamp")


class GlbExporter:
    def __init__(self, config: NoConfig) -> None: ...

    def write(self, asset: MeshAsset, path: Path) -> list[Path]:
        data = export_glb(scene(asset), include_normals=True, tree_postprocessor=completer(asset))
        replace_atomically(path, lambda temporary: temporary.write_bytes(data))
        return [path]


def scene(asset: MeshAsset) -> trimesh.Scene:
    """The asset as trimesh's glTF writers take it."""
    return trimesh.Scene({f"object-{index}": mesh for index, mesh in enumerate(_geometries(asset))})


def _geometries(asset: MeshAsset) -> list[trimesh.Trimesh]:
    """A mesh for each material, its name the material's number."""
    whole, found = asset.mesh, []
    for index, material in enumerate(asset.materials):
        mesh = shape(whole)
        if whole.materials is not None:
            mesh.update_faces(whole.materials == index)
        paint = PBRMaterial(
            name=str(index),
            metallicFactor=material.metallic,
            roughnessFactor=material.roughness,
            doubleSided=material.two_sided,
            alphaMode="OPAQUE" if material.opacity is None else "BLEND" if material.cutoff is None else "MASK",
            alphaCutoff=material.cutoff,
        )
        if whole.uvs is not None:
            paint.baseColorTexture = texture_image(material)
            paint.normalTexture = normal_image(material)
        mesh.visual = TextureVisuals(uv=whole.uvs, material=paint)
        for name, values in (("_TANGENT", whole.tangents), ("_COLOR_0", whole.colors)):
            if values is not None:
                mesh.vertex_attributes[name] = linear_colors(values) if name == "_COLOR_0" else values
        found.append(mesh)
    return found


def completer(asset: MeshAsset) -> Callable[[dict[str, Any]], None]:
    """What puts into the file's tree the things that trimesh leaves out."""
    return partial(_complete, asset)


def _complete(asset: MeshAsset, tree: dict[str, Any]) -> None:
    tree["asset"] = {"version": "2.0", "generator": f"df3d {df3d.__version__}", "extras": asset.provenance}
    for attributes in (part["attributes"] for mesh in tree["meshes"] for part in mesh["primitives"]):
        for name in [name for name in attributes if name.startswith("_")]:  # trimesh takes them for attributes of ours
            attributes[name[1:]] = attributes.pop(name)
    tree["samplers"] = [_sampler(asset.mesh, material) for material in asset.materials]
    for entry in tree["materials"]:
        number = int(entry.pop("name"))
        for texture in (entry["pbrMetallicRoughness"].get("baseColorTexture"), entry.get("normalTexture")):
            if texture:
                tree["textures"][texture["index"]]["sampler"] = number
        if asset.materials[number].unlit:
            tree["extensionsUsed"] = ["KHR_materials_unlit"]
            entry["extensions"] = {"KHR_materials_unlit": {}}


def _sampler(mesh: Mesh, material: Material) -> dict[str, int]:
    numbers = {kind: number for number, kind in WRAPS.items()}
    inside = mesh.uvs is not None and not leaves(mesh.uvs)
    u, v = CLAMPED if inside else material.wrap  # no bleeding where nothing repeats
    return {"magFilter": NEAREST if material.nearest else 9729, "minFilter": 9987, "wrapS": numbers[u], "wrapT": numbers[v]}
