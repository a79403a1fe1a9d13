"""A finished mesh as a field, so that renderers draw it like any other: for pictures and for scoring."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from df3d.catalog import Catalog
from df3d.compose import Chosen
from df3d.config import parse
from df3d.errors import PluginError
from df3d.interfaces import Renderer
from df3d.plugin import RendererPlugin
from df3d.schedule import Step
from df3d.types import Asset, Mesh, SurfaceMesh

RADIUS = 0.85  # of the ball around the origin that `fitted` puts a mesh into


class FinishedField:
    """Capability "surface"; nothing in it learns."""

    def __init__(self, asset: Asset, *, device: str = "cpu", textureless: bool = False) -> None:
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


def surface_renderer(catalog: Catalog, options: Mapping[str, Any], *, device: str) -> Renderer:
    """A renderer of surfaces, with `options` as a recipe gives them.

    Raises PluginError when no plugin offers one.
    """
    for name in sorted(
        catalog.names("renderer"), key=lambda name: name != "raster"
    ):  # the one that figures rest on, if it is there
        plugin = catalog.get("renderer", name)
        assert isinstance(plugin, RendererPlugin)
        if plugin.needs <= {"surface"}:
            renderer: Renderer = Chosen(plugin, parse(plugin.config, dict(options), "renderer")).build(device=device)
            return renderer
    raise PluginError("no plugin draws meshes", "install df3d-nvdiffrast; `df3d plugins` shows what is broken")
