"""Volume rendering of a density field: march through occupied space, query, shade, composite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint

from df3d.protocols import Volume
from df3d.scene.background import Background
from df3d.scene.cameras import rays
from df3d.scene.shading import Lighting, lighting
from df3d.schedule import Step
from df3d.types import AT_BEST, Cameras, FieldSamples, RaySamples, RenderOutput, RenderRequest, TensorRule
from df3d_hashgrid.composite import composite
from df3d_hashgrid.config import RayMarchConfig
from df3d_hashgrid.march import Samples, march, visible
from df3d_hashgrid.occupancy import OccupancyGrid

ROUND = 16384  # a GPU's allocator, and graphs of what it runs, like sizes that recur: samples are asked for in multiples of this
LARGEST_TILE, SMALLEST_TILE = 16384, 512  # rays, of those that memory running out leads to


class RayMarchRenderer(nn.Module):
    """Draws any field with the capability "volume"."""

    state_rules = {"occupancy": TensorRule(low=0)}

    def __init__(self, config: RayMarchConfig, *, device: str = "cpu") -> None:
        super().__init__()
        self.config = config
        self.backend = config.backend if config.backend != "auto" else "numba" if device == "cpu" else "torch"
        self.tile = config.tile
        self.multiple = 1 if device == "cpu" else ROUND
        self.background = Background(config)
        self.occupancy = OccupancyGrid(config.occupancy, decay=config.occupancy_decay, every=config.refresh_every, device=device)
        self.to(device)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return self.background.parameter_groups()

    def before_step(self, step: Step) -> None: ...

    def refresh(self, field: Volume, step: Step) -> None:
        self.occupancy.refresh(field, step)

    def state_dict(self, *args: Any, **kwargs: Any) -> Any:
        return {**super().state_dict(*args, **kwargs), "occupancy": self.occupancy.state()}

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        state = dict(state_dict)
        self.occupancy.load_state(state.pop("occupancy"))
        return super().load_state_dict(state, strict, assign)

    def save_memory(self) -> str:
        """Draw in tiles, of half as many rays each time."""
        if self.tile and self.tile <= SMALLEST_TILE:
            return ""
        self.tile = self.tile // 2 if self.tile else LARGEST_TILE
        return f"drawing {self.tile} rays at a time"

    def render(self, field: Volume, cameras: Cameras, request: RenderRequest = AT_BEST) -> RenderOutput:
        """In training whole or, with `tile`, piece by piece: no piece keeps what its gradient needs, each is drawn again for it.

        The gradient is the same; what it costs is one more drawing. (Deferred backpropagation, arXiv 2206.06360, section 4.1.)
        """
        views, height, width, step = len(cameras), cameras.height, cameras.width, request.step
        origins, directions = (t.reshape(-1, 3) for t in rays(cameras))
        view = torch.arange(views, device=origins.device).repeat_interleave(height * width)
        light = lighting(self.config.shading, cameras, step)
        slopes = light.needs_normals or "normal" in request.needs or step is None
        if step is None:
            jitter = torch.full_like(origins[:, 0], 0.5)
        else:
            jitter = torch.rand(len(origins), generator=step.generator("jitter")).to(origins.device, non_blocking=True)
        size = min(self.config.chunk, self.tile or self.config.chunk) if step is None else self.tile or len(origins)
        parts: Any = zip(*(t.split(size) for t in (origins, directions, view, jitter)), strict=True)
        if step is not None and self.tile:
            drawn = [
                checkpoint(self._draw, field, *part, light, slopes, step, use_reentrant=False, preserve_rng_state=False)
                for part in parts
            ]
        else:
            drawn = [self._draw(field, part[0], part[1], part[2], part[3], light, slopes, step) for part in parts]

        def image(index: int) -> Tensor:
            pieces: list[Any] = [piece[index] for piece in drawn]
            return torch.cat(pieces).view(views, height, width, -1)

        samples = None if step is None else _joined([piece[-1] for piece in drawn])
        normal = image(3) if slopes else None
        return RenderOutput(image(0), image(1), image(2), normal, samples, background=image(4))

    def _draw(
        self,
        field: Volume,
        origins: Tensor,
        directions: Tensor,
        view: Tensor,
        jitter: Tensor,
        light: Lighting,
        slopes: bool,
        step: Step | None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, RaySamples]:
        config = self.config
        samples = march(
            origins,
            directions,
            jitter,
            self.occupancy.most,
            self.occupancy.least,
            step=2.0 / config.samples,
            occupied=config.occupied,
            opaque=config.opaque,
            backend=self.backend,
        )
        if config.alpha_threshold:
            samples = self._visible(field, samples)
        found = self._query(field, samples.points, gradient=slopes)
        normals = None if found.gradient is None else -functional.normalize(found.gradient, dim=-1, eps=1e-6)
        color = light.shade(found.albedo, normals, samples.points, view[samples.ray])
        values = [color, samples.distance[:, None], *([] if normals is None else [normals])]
        total, opacity, weights = composite(found.density, torch.cat(values, dim=1), samples, backend=self.backend)
        background = self.background(directions, step)
        rgb = total[:, :3] + (1 - opacity)[:, None] * background
        depth = total[:, 3:4] / opacity.clamp_min(1e-6)[:, None]
        normal = total[:, 4:] if normals is not None else torch.zeros_like(rgb)
        behind = RaySamples(weights, normals, directions[samples.ray], len(origins))
        return rgb, opacity[:, None], depth, normal, background, behind

    @torch.no_grad()
    def _visible(self, field: Volume, samples: Samples) -> Samples:
        """The samples that show, by a first look at their densities."""
        density = field.density(self._padded(samples.points))[: len(samples.points)]
        c = self.config
        return visible(samples, density, threshold=c.alpha_threshold, opaque=c.opaque, backend=self.backend)

    def _query(self, field: Volume, points: Tensor, *, gradient: bool) -> FieldSamples:
        count = len(points)
        found = field.query(self._padded(points), gradient=gradient)
        return FieldSamples(found.density[:count], found.albedo[:count], None if found.gradient is None else found.gradient[:count])

    def _padded(self, points: Tensor) -> Tensor:
        """Points (S, 3) and as many more as make a multiple of `multiple`."""
        return functional.pad(points, (0, 0, 0, -len(points) % self.multiple))


def _joined(parts: list[RaySamples]) -> RaySamples:
    if len(parts) == 1:
        return parts[0]
    normals = [part.normals for part in parts if part.normals is not None]
    return RaySamples(
        torch.cat([part.weights for part in parts]),
        torch.cat(normals) if normals else None,
        torch.cat([part.directions for part in parts]),
        sum(part.rays for part in parts),
    )
