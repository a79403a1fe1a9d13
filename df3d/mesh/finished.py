"""A finished mesh as a field, so that renderers draw it like any other: for pictures and for scoring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from df3d.errors import PluginError
from df3d.plugin.catalog import Catalog
from df3d.plugin.schema import hints, parse
from df3d.protocols import Field, Renderer
from df3d.schedule import Step
from df3d.types import Asset, Mesh, MeshAsset, SurfaceMesh

RADIUS = 0.85  # of the ball around the origin that `fitted` puts a mesh into


class FinishedField:
    """Capability "surface"; nothing in it learns."""

    def __init__(self, asset: MeshAsset, *, device: str = "cpu", textureless: bool = False) -> None:
        mesh, white = asset.mesh, np.ones_like(asset.mesh.vertices)

        def tensor(array: np.ndarray | None) -> Tensor | None:
            return None if array is None else torch.from_numpy(np.ascontiguousarray(array)).to(device)

        textured = mesh.uvs is not None and not textureless
        colors = None if textured else white if textureless or mesh.colors is None else mesh.colors
        vertices, faces = tensor(mesh.vertices.astype(np.float32)), tensor(mesh.faces.astype(np.int64))
        assert vertices is not None
        assert faces is not None
        self._mesh = SurfaceMesh(
            vertices,
            faces,
            uvs=tensor(mesh.uvs) if textured else None,
            texture=tensor(asset.material.base_color.astype(np.float32)) if textured else None,
            colors=tensor(None if colors is None else colors.astype(np.float32)),
            two_sided=True,
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
