"""df3d's assets as trimesh knows them, and files that trimesh reads as df3d's assets."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import trimesh
from PIL import Image

from df3d.errors import ExportError
from df3d.types import Asset, Material, Mesh

WHITE = np.ones((1, 1, 3), np.float32)


def read(path: Path) -> Asset:
    """Any GLB, glTF, OBJ, PLY or STL, whoever made it: one mesh, its texture or the colours of its vertices.

    Raises ExportError when the file is not such a mesh.
    """
    try:
        mesh = trimesh.load_scene(path).to_mesh()
    except Exception as error:  # trimesh lets through whatever its parsers stumble over
        lines = str(error).strip().splitlines()
        reason = lines[0] if lines and isinstance(error, (ValueError, OSError)) else "what it says of itself does not fit"
        raise ExportError(f"`{path}` cannot be read: {reason}", "give a GLB, glTF, OBJ, PLY or STL file that is whole") from None
    if not len(mesh.faces):
        raise ExportError(f"`{path}` holds no triangles", "give a file with a mesh, not with points or curves alone")
    image, factor = _material(mesh.visual)
    uvs = getattr(mesh.visual, "uv", None)
    colors = None
    if image is None or uvs is None:
        image, uvs, colors = None, None, _colors(mesh)
    return Asset(
        Mesh(
            np.asarray(mesh.vertices, np.float32),
            np.asarray(mesh.faces, np.int64),
            np.asarray(mesh.vertex_normals, np.float32),
            uvs=None if uvs is None else np.asarray(uvs, np.float32),
            colors=colors,
        ),
        Material(WHITE if image is None else image * factor),
        provenance(path),
    )


def provenance(path: Path) -> dict[str, Any]:
    """What `asset.extras` of a GLB or glTF holds; nothing of any other file."""
    data = path.read_bytes()
    if data[:4] == b"glTF":
        (length,) = struct.unpack_from("<I", data, 12)
        data = data[20 : 20 + length]
    elif path.suffix.lower() != ".gltf":
        return {}
    extras = json.loads(data).get("asset", {}).get("extras", {})
    return extras if isinstance(extras, dict) else {}


def _material(visual: Any) -> tuple[np.ndarray | None, np.ndarray]:
    """The base colour texture (T, T, 3), if there is one, and the factor (3,) on it."""
    material = getattr(visual, "material", None)
    picture = getattr(material, "baseColorTexture", None) or getattr(material, "image", None)
    if picture is None:
        return None, np.ones(3, np.float32)
    factor = getattr(material, "baseColorFactor", None)
    color = np.ones(3) if factor is None else np.asarray(factor, float)[:3] / (255 if np.max(factor) > 1 else 1)
    return np.asarray(picture.convert("RGB"), np.float32) / 255, color.astype(np.float32)


def _colors(mesh: trimesh.Trimesh) -> np.ndarray:
    """(P, 3) colours of a mesh without a texture: its vertices', its faces', its material's, or white."""
    visual = mesh.visual
    if visual.kind in ("vertex", "face"):
        found = np.asarray(visual.vertex_colors)
    else:
        found = np.asarray(getattr(getattr(visual, "material", None), "main_color", (255, 255, 255)))
    return np.broadcast_to(found[..., :3].astype(np.float32) / 255, mesh.vertices.shape).copy()


def texture_image(asset: Asset) -> Image.Image:
    return _image(asset.material.base_color)


def normal_image(asset: Asset) -> Image.Image | None:
    return None if asset.material.normal is None else _image(asset.material.normal)


def _image(texture: np.ndarray) -> Image.Image:
    return Image.fromarray((np.clip(texture, 0, 1) * 255).round().astype(np.uint8))


def shape(mesh: Mesh) -> trimesh.Trimesh:
    """Vertices, faces and normals, nothing merged or reordered."""
    return trimesh.Trimesh(mesh.vertices, mesh.faces, vertex_normals=mesh.normals, process=False)


def texel(asset: Asset, uvs: np.ndarray) -> np.ndarray:
    """(P, 3) texture colours at uvs (P, 2), nearest texel."""
    image = asset.material.base_color
    size = image.shape[0]
    column = np.clip((uvs[:, 0] * size).astype(int), 0, size - 1)
    row = np.clip(((1 - uvs[:, 1]) * size).astype(int), 0, size - 1)
    return image[row, column]
