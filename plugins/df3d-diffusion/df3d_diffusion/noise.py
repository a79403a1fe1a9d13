"""The noise that renders are held against: drawn anew at every step, or carried along, so that steps ask for the same picture.

All are standard normal in every pixel, and the same for the same step of a run.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from df3d.schedule import Step
from df3d.types import Cameras
from df3d_diffusion.config import NoiseKind


def noise_for(kind: NoiseKind, every: int, cameras: Cameras, shape: torch.Size, step: Step, generator: torch.Generator) -> Tensor:
    """(V, C, h, w) on the CPU.

    `fresh` comes from `generator`. `fixed` is one picture for all views, `sphere` a window, by azimuth and elevation, of one
    picture wrapped around the object (FSD, arXiv 2405.10988): neighbouring views see the same noise, moved. Both
    turn into new ones every `every` steps, gradually, or with 0 never (CFD, arXiv 2501.05445, refreshes its noise so).
    """
    if kind == "fresh":
        return torch.randn(shape, generator=generator)
    _, channels, height, width = shape
    wide = width if kind == "fixed" else 2 * width
    high = height if kind == "fixed" else 2 * height
    picture = _picture((channels, high, wide), every, step)
    if kind == "fixed":
        return picture.expand(shape)
    return torch.stack(
        [_window(picture, azimuth, elevation, height, width)
         for azimuth, elevation in zip(cameras.azimuth.tolist(), cameras.elevation.tolist(), strict=True)]
    )  # fmt: skip


def _picture(shape: tuple[int, ...], every: int, step: Step) -> Tensor:
    """Of two noises the one that was and the one that comes, at a right angle, so that the variance stays 1."""
    number, share = divmod(step.index / every, 1.0) if every else (0.0, 0.0)
    now, after = (
        torch.randn(shape, generator=Step(int(number) + more, step.of, step.stage, step.seed).generator("carried noise"))
        for more in (0, 1)
    )
    return math.cos(share * math.pi / 2) * now + math.sin(share * math.pi / 2) * after


def _window(picture: Tensor, azimuth: float, elevation: float, height: int, width: int) -> Tensor:
    """The part of a map of 360 by 360 degrees, whose ends meet, that a camera sees: half of it each way."""
    rows, columns = picture.shape[1:]
    top, left = round(-elevation / 360 * rows), round(azimuth / 360 * columns)
    down = (torch.arange(height) + top) % rows
    across = (torch.arange(width) + left) % columns
    return picture[:, down][:, :, across]
