"""df3d's assets as trimesh and Pillow know them."""

from __future__ import annotations

import numpy as np
import trimesh
from PIL import Image
from trimesh.visual import ColorVisuals, TextureVisuals
from trimesh.visual.material import PBRMaterial

from df3d.errors import ExportError
from df3d.mesh.finished import as_bytes, as_floats, to_linear
from df3d.types import Mesh, MeshAsset


def texture_image(asset: MeshAsset) -> Image.Image:
    return _image(asset.material.base_color)


def normal_image(asset: MeshAsset) -> Image.Image | None:
    return None if asset.material.normal is None else _image(asset.material.normal)


def _image(texture: np.ndarray) -> Image.Image:
    return Image.fromarray(as_bytes(texture))


def shape(mesh: Mesh) -> trimesh.Trimesh:
    """Vertices, faces and normals, nothing merged or reordered."""
    return trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_normals=mesh.normals, process=False)


def texel(asset: MeshAsset, uvs: np.ndarray) -> np.ndarray:
    """(P, 3) texture colours at uvs (P, 2), nearest texel."""
    image = asset.material.base_color
    size = image.shape[0]
    column = np.clip((uvs[:, 0] * size).astype(int), 0, size - 1)
    row = np.clip(((1 - uvs[:, 1]) * size).astype(int), 0, size - 1)
    return as_floats(image[row, column])


def geometries(asset: MeshAsset) -> list[trimesh.Trimesh]:
    """A mesh for each material."""
    whole, found = asset.mesh, []
    for index, material in enumerate(asset.materials):
        mesh = shape(whole)
        if whole.materials is not None:
            mesh.update_faces(whole.materials == index)
        if whole.uvs is not None:
            picture = Image.fromarray(as_bytes(material.base_color))
            if material.opacity is not None:
                picture.putalpha(Image.fromarray(as_bytes(material.opacity)))
            paint = PBRMaterial(
                baseColorTexture=picture,
                metallicFactor=0.0,
                roughnessFactor=0.9,
                doubleSided=material.two_sided,
                alphaMode="OPAQUE" if material.opacity is None else "BLEND" if material.cutoff is None else "MASK",
                alphaCutoff=material.cutoff,
            )
            mesh.visual = TextureVisuals(uv=whole.uvs, material=paint)
        elif whole.colors is not None:
            mesh.visual = ColorVisuals(mesh, vertex_colors=(to_linear(whole.colors) * 255).round())  # as glTF has them
        found.append(mesh)
    return found


def one_material(asset: MeshAsset, kind: str) -> None:
    """Raises ExportError when a format, as it is written here, would lose materials."""
    if asset.others:
        raise ExportError(f"{kind} files are written with one material, and this mesh has {len(asset.materials)}", "write a GLB")
