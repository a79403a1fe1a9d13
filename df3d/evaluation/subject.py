"""A target as scorers see it: the only way in which an asset is shown to them."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from df3d.errors import ExportError
from df3d.evaluation.protocol import AMBIENT, BACKGROUND, DISTANCE, ELEVATION, FOV_Y, SIZE, VIEWS
from df3d.evaluation.targets import Target
from df3d.mesh.files import read
from df3d.mesh.finished import FinishedField, drawable, fitted_asset
from df3d.plugin.catalog import Catalog
from df3d.scene.cameras import orbit
from df3d.system.text import one_line
from df3d.types import Asset, Cameras, MeshAsset, RenderRequest


class TargetSubject:
    """A target as scorers see it: read, moved and scaled into the unit ball, and drawn when they ask for it.

    With `asset` that one is seen, and no file is read.
    """

    def __init__(
        self, target: Target, catalog: Catalog, *, device: str = "cpu", views: int = VIEWS, asset: Asset | None = None
    ) -> None:
        self.target = target
        self._catalog, self._device, self._views, self._asset = catalog, device, views, asset

    @property
    def path(self) -> Path:
        """The file."""
        return self.target.path

    @cached_property
    def asset(self) -> Asset:
        """As it is in the file."""
        return self._asset or read(self.target.path, self._catalog)

    @cached_property
    def fitted(self) -> Asset:
        """Moved and scaled into the unit ball."""
        return fitted_asset(self.asset)

    @cached_property
    def prompt(self) -> str:
        """The target's or, where it has none, the one that stands in the file; "" where neither is known."""
        return self.target.prompt or one_line(str(self.asset.provenance.get("prompt", "")))

    @cached_property
    def cameras(self) -> Cameras:
        """The protocol's: evenly around, the first from the front."""
        return orbit(self._views, elevation=ELEVATION, distance=DISTANCE, fov_y=FOV_Y, size=SIZE)

    @cached_property
    def color(self) -> Tensor:
        """(V, H, W, 3): the protocol's pictures."""
        return self._drawn[..., :3]

    @cached_property
    def opacity(self) -> Tensor:
        """(V, H, W): where the object is in them."""
        return self._drawn[..., 3]

    @cached_property
    def _drawn(self) -> Tensor:
        return self.draw(self.cameras)

    @cached_property
    def geometry(self) -> Tensor:
        """(V, H, W, 3): the same without colour ("geo")."""
        return self.draw(self.cameras, textureless=True)[..., :3]

    def draw(
        self, cameras: Cameras, *, textureless: bool = False, background: float = BACKGROUND, ambient: float = AMBIENT
    ) -> Tensor:
        """(V, H, W, 4) colour and opacity under a light at the camera: albedo * (ambient + (1 - ambient) * max(0, n . l))."""
        light = {"albedo_until": 0.0, "lambertian": 1.0, "ambient": ambient, "diffuse": 1 - ambient, "light": "head"}
        options = {"background_color": [background] * 3, "shading": light}
        field, renderer = drawable(self.fitted, self._catalog, options, device=self._device)
        if textureless:
            if not isinstance(self.fitted, MeshAsset):
                raise ExportError(f"{self.fitted.kind} have no shape without colour", "this measure is one of meshes")
            field = FinishedField(self.fitted, device=self._device, textureless=True)
        parts = []
        with torch.no_grad():
            for i in range(len(cameras)):
                view = renderer.render(field, cameras[i : i + 1].to(self._device), RenderRequest())
                parts.append(torch.cat([view.rgb, view.opacity], dim=-1).cpu())
        return torch.cat(parts)
