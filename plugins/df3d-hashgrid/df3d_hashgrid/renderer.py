"""Volume rendering of a density field: march through occupied space, query, shade, composite."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from df3d.cameras import rays
from df3d.interfaces import Volume
from df3d.schedule import Step
from df3d.shading import Lighting, lighting
from df3d.types import Cameras, RaySamples, RenderOutput
from df3d_hashgrid.background import Background
from df3d_hashgrid.composite import composite
from df3d_hashgrid.config import RayMarchConfig
from df3d_hashgrid.march import march
from df3d_hashgrid.occupancy import OccupancyGrid


class RayMarchRenderer(nn.Module):
    """Draws any field with the capability "volume"."""

    def __init__(self, config: RayMarchConfig, *, device: str = "cpu") -> None:
        super().__init__()
        self.config = config
        self.backend = config.backend if config.backend != "auto" else "numba" if device == "cpu" else "torch"
        self.background = Background(config)
        self.occupancy = OccupancyGrid(config.occupancy, decay=config.occupancy_decay, every=config.refresh_every, device=device)
        self.to(device)

    def parameter_groups(self) -> list[dict[str, Any]]:
        parameters = list(self.background.parameters())
        return [{"params": parameters, "lr": 1e-3}] if parameters else []

    def before_step(self, step: Step) -> None: ...

    def refresh(self, field: Volume, step: Step) -> None:
        self.occupancy.refresh(field, step)

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        return {**super().state_dict(*args, **kwargs), "occupancy": self.occupancy.state()}

    def load_state_dict(self, state: Any, *args: Any, **kwargs: Any) -> Any:
        state = dict(state)
        self.occupancy.load_state(state.pop("occupancy"))
        return super().load_state_dict(state, *args, **kwargs)

    def render(self, field: Volume, cameras: Cameras, *, step: Step | None = None) -> RenderOutput:
        views, height, width = len(cameras), cameras.height, cameras.width
        origins, directions = (t.reshape(-1, 3) for t in rays(cameras))
        view = torch.arange(views, device=origins.device).repeat_interleave(height * width)
        light = lighting(self.config.shading, cameras, step)
        if step is not None:
            rgb, opacity, depth, normal, samples = self._draw(field, origins, directions, view, light, step)
        else:
            chunks = [
                self._draw(field, *part, light, None)
                for part in zip(*(t.split(self.config.chunk) for t in (origins, directions, view)), strict=True)
            ]
            rgb, opacity, depth, normal = (torch.cat([chunk[i] for chunk in chunks]) for i in range(4))
            samples = None

        def image(values: Tensor) -> Tensor:
            return values.view(views, height, width, -1)

        return RenderOutput(image(rgb), image(opacity), image(depth), image(normal), samples)

    def _draw(
        self, field: Volume, origins: Tensor, directions: Tensor, view: Tensor, light: Lighting, step: Step | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, RaySamples]:
        config = self.config
        if step is None:
            jitter = torch.full_like(origins[:, 0], 0.5)
        else:
            jitter = torch.rand(len(origins), generator=step.generator("jitter")).to(origins.device)
        samples = march(
            origins,
            directions,
            jitter,
            self.occupancy.most,
            self.occupancy.least,
            step=2.0 * field.bound / config.samples,
            occupied=config.occupied,
            opaque=config.opaque,
            backend=self.backend,
        )
        found = field.query(samples.points, gradient=light.needs_normals or step is None)
        normals = None if found.gradient is None else -functional.normalize(found.gradient, dim=-1, eps=1e-6)
        color = light.shade(found.albedo, normals, samples.points, view[samples.ray])
        values = [color, samples.distance[:, None], *([] if normals is None else [normals])]
        total, opacity, weights = composite(found.density, torch.cat(values, dim=1), samples, backend=self.backend)
        rgb = total[:, :3] + (1 - opacity)[:, None] * self.background(directions, step)
        depth = total[:, 3:4] / opacity.clamp_min(1e-6)[:, None]
        normal = total[:, 4:] if normals is not None else torch.zeros_like(rgb)
        behind = RaySamples(weights, normals, directions[samples.ray], len(origins))
        return rgb, opacity[:, None], depth, normal, behind
