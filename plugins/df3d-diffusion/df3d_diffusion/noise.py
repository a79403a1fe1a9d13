"""The noise that renders are held against: drawn anew at every step, or carried along, so that steps ask for the same picture.

All are standard normal in every pixel, and the same for the same step of a run.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from df3d.schedule import Step
from df3d.types import Cameras, RenderOutput
from df3d_diffusion.config import NoiseKind

POINTS = 200_000  # of the ball of radius 1 that carry noise: some five in each pixel of 64 x 64 that shows a surface
REACH = 0.06  # how far a point may lie from the surface that carries it


def noise_for(
    kind: NoiseKind,
    every: int,
    cameras: Cameras,
    shape: torch.Size,
    step: Step,
    generator: torch.Generator,
    render: RenderOutput | None = None,
) -> Tensor:
    """(V, C, h, w) on the CPU.

    `fresh` comes from `generator`. `fixed` is one picture for all views, `sphere` a window, by azimuth and elevation, of one
    picture wrapped around the object (FSD, arXiv 2405.10988): neighbouring views see the same noise, moved. `surface` lies on what
    `render` shows, whose depth and opacity it needs: a point of the surface has the same noise in all views (CFD, arXiv
    2501.05445). All but the first turn into new ones every `every` steps, gradually, or with 0 never, as CFD refreshes its noise.
    """
    if kind == "fresh":
        return torch.randn(shape, generator=generator)
    _, channels, height, width = shape
    if kind == "sphere":
        picture = _carried((channels, 2 * height, 2 * width), every, step)
        return torch.stack(
            [_window(picture, azimuth, elevation, height, width)
             for azimuth, elevation in zip(cameras.azimuth.tolist(), cameras.elevation.tolist(), strict=True)]
        )  # fmt: skip
    picture = _carried((channels, height, width), every, step)
    if kind == "fixed":
        return picture.expand(shape)
    assert render is not None
    values = _carried((channels, POINTS), every, step, "noise of the points")
    return torch.stack([_on_surface(picture, values, cameras[i : i + 1], render, i) for i in range(len(cameras))])


def _carried(shape: tuple[int, ...], every: int, step: Step, name: str = "carried noise") -> Tensor:
    """Of two noises the one that was and the one that comes, at a right angle, so that the variance stays 1."""
    number, share = divmod(step.index / every, 1.0) if every else (0.0, 0.0)
    now, after = (_drawn(shape, name, Step(int(number) + more, step.of, step.stage, step.seed)) for more in (0, 1))
    return math.cos(share * math.pi / 2) * now + math.sin(share * math.pi / 2) * after


@lru_cache(maxsize=6)
def _drawn(shape: tuple[int, ...], name: str, step: Step) -> Tensor:
    return torch.randn(shape, generator=step.generator(name))


@lru_cache(maxsize=1)
def _points() -> Tensor:
    """(POINTS, 3), evenly all over the ball of radius 1, the same in every run."""
    generator = torch.Generator().manual_seed(0)
    towards = torch.nn.functional.normalize(torch.randn(POINTS, 3, generator=generator), dim=1)
    return towards * torch.rand(POINTS, 1, generator=generator) ** (1 / 3)


def _on_surface(picture: Tensor, values: Tensor, camera: Cameras, render: RenderOutput, view: int) -> Tensor:
    """(C, h, w): in each pixel the sum of what its points at the surface carry, over the root of their number; else `picture`.

    A point lies in one pixel alone, so pixels are independent, as CFD has it by the area that texels of its noise cover.
    """
    assert render.depth is not None
    depth, opacity = (t[view, ..., 0].detach().cpu() for t in (render.depth, render.opacity))
    (high, wide), (channels, height, width) = depth.shape, picture.shape
    pose, half = camera.pose[0].cpu(), math.tan(math.radians(float(camera.fov_y[0])) / 2)
    local = (_points() - pose[:3, 3]) @ pose[:3, :3]
    across, up = local[:, 0] / -local[:, 2] / half * (high / wide), local[:, 1] / -local[:, 2] / half
    inside = (local[:, 2] < 0) & (across.abs() < 1) & (up.abs() < 1)
    row, column = ((1 - up[inside]) / 2 * high).long(), ((1 + across[inside]) / 2 * wide).long()
    near = ((local[inside].norm(dim=1) - depth[row, column]).abs() < REACH) & (opacity[row, column] > 0.5)
    cell = (row[near] * height // high) * width + column[near] * width // wide
    count = torch.bincount(cell, minlength=height * width)
    total = torch.zeros(channels, height * width).index_add_(1, cell, values[:, inside.nonzero()[near, 0]])
    carried = (total / count.clamp_min(1).sqrt()).view(channels, height, width)
    return torch.where(count.view(height, width) > 0, carried, picture)


def _window(picture: Tensor, azimuth: float, elevation: float, height: int, width: int) -> Tensor:
    """The part of a map of 360 by 360 degrees, whose ends meet, that a camera sees: half of it each way."""
    rows, columns = picture.shape[1:]
    top, left = round(-elevation / 360 * rows), round(azimuth / 360 * columns)
    down = (torch.arange(height) + top) % rows
    across = (torch.arange(width) + left) % columns
    return picture[:, down][:, :, across]
