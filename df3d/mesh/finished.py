"""A finished mesh as a field, so that renderers draw it like any other: for pictures and for scoring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from df3d.errors import PluginError
from df3d.mesh.srgb import linear_colors
from df3d.plugin.catalog import Catalog
from df3d.plugin.schema import hints, parse
from df3d.protocols import Field, Renderer
from df3d.schedule import Step
from df3d.types import Asset, Material, Mesh, MeshAsset, SurfaceMaterial, SurfaceMesh

RADIUS = 0.85  # of the ball around the origin that `fitted` puts a mesh into


class FinishedField:
    """Capability "surface"; nothing in it learns."""

    def __init__(self, asset: MeshAsset, *, device: str = "cpu", textureless: bool = False) -> None:
        mesh, white = asset.mesh, np.ones_like(asset.mesh.vertices, np.float32)

        def tensor(array: np.ndarray | None) -> Tensor | None:
            return None if array is None else torch.from_numpy(np.ascontiguousarray(array)).to(device)

        vertices, faces = tensor(mesh.vertices.astype(np.float32)), tensor(mesh.faces.astype(np.int64))
        assert vertices is not None
        assert faces is not None
        plain = SurfaceMesh(vertices, faces, two_sided=True)
        if textureless:
            self._mesh = replace(plain, colors=tensor(white))
        elif _is_simple(asset):
            self._mesh = replace(plain, uvs=tensor(mesh.uvs), texture=tensor(as_floats(asset.material.base_color)))
        else:
            colors = None if mesh.colors is None else linear_colors(mesh.colors)
            uvs = np.zeros((len(vertices), 2), np.float32) if mesh.uvs is None else mesh.uvs
            which = np.zeros(len(faces), np.int64) if mesh.materials is None else mesh.materials
            self._mesh = replace(
                plain,
                uvs=tensor(uvs),
                colors=tensor(colors),
                materials=tuple(_painted(material, device) for material in asset.materials),
                material=tensor(which),
            )

    def surface(self) -> SurfaceMesh:
        return self._mesh

    def albedo(self, points: Tensor) -> Tensor:
        return torch.ones_like(points)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return []

    def before_step(self, step: Step) -> None: ...

    def state_dict(self) -> dict[str, Tensor]:
        return {"vertices": self._mesh.vertices}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None: ...


def _is_simple(asset: MeshAsset) -> bool:
    """Whether one solid texture is all there is: what df3d makes itself."""
    mesh, material = asset.mesh, asset.material
    if asset.others or mesh.uvs is None or mesh.colors is not None or material.opacity is not None or not material.two_sided:
        return False
    if material.nearest:
        return False
    return material.wrap == ("repeat", "repeat") or bool(((mesh.uvs >= 0) & (mesh.uvs <= 1)).all())


def _painted(material: Material, device: str) -> SurfaceMaterial:
    image = material.base_color
    if material.opacity is not None:
        image = np.concatenate([image, material.opacity[..., None]], axis=2)
    texture = torch.from_numpy(np.require(image, requirements=["C", "W"])).to(device)
    return SurfaceMaterial(texture, material.wrap, material.cutoff, material.two_sided, material.nearest)


def as_floats(image: np.ndarray) -> np.ndarray:
    """float32 in [0, 1] of a texture of either type."""
    return image.astype(np.float32) / (255 if image.dtype == np.uint8 else 1)


def as_bytes(image: np.ndarray) -> np.ndarray:
    """uint8 of a texture of either type."""
    return image if image.dtype == np.uint8 else (np.clip(image, 0, 1) * 255).round().astype(np.uint8)


def fitted(mesh: Mesh) -> Mesh:
    """The mesh with the middle of its box at the origin and its farthest vertex at RADIUS, whatever its size was."""
    seen = mesh.vertices[np.unique(mesh.faces)]
    middle = (seen.min(0) + seen.max(0)) / 2
    reach = float(np.linalg.norm(seen - middle, axis=1).max())
    return replace(mesh, vertices=((mesh.vertices - middle) * (RADIUS / max(reach, 1e-12))).astype(np.float32))


def fitted_asset(asset: Asset) -> Asset:
    """A mesh asset moved and scaled into the unit ball; any other as it is."""
    return replace(asset, mesh=fitted(asset.mesh)) if isinstance(asset, MeshAsset) else asset


def drawable(asset: Asset, catalog: Catalog, options: Mapping[str, Any], *, device: str) -> tuple[Field, Renderer]:
    """An asset as a field, and the renderer that draws its kind, with `options` as a recipe gives them where it has them.

    Raises PluginError when no plugin draws such assets.
    """
    for plugin in catalog.renderers:
        if asset.kind in plugin.draws:
            known = hints(plugin.config)
            config: object = parse(plugin.config, {key: value for key, value in options.items() if key in known}, "renderer")
            return field_of(asset, catalog, plugin.needs, device=device), plugin.build(config, device=device)
    raise PluginError(f"no plugin draws {asset.kind}", "`df3d plugins` shows what is installed, and what is broken")


def field_of(asset: Asset, catalog: Catalog, needs: frozenset[str], *, device: str) -> Field:
    """An asset as a field with the capabilities `needs`: a mesh as it is, another kind by the field that starts from it.

    Raises PluginError when there is no such field.
    """
    if isinstance(asset, MeshAsset):
        return FinishedField(asset, device=device)
    for plugin in catalog.fields:
        if asset.kind in plugin.starts_from and needs <= plugin.provides:
            return plugin.build(plugin.config(), device=device, start_from=asset)
    raise PluginError(f"no field can start from {asset.kind}", "`df3d plugins` shows what is installed, and what is broken")
