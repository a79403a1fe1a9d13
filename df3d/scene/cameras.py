"""Where to look from: random cameras for training, orbits for pictures, and the rays of each."""

from __future__ import annotations

import torch
from torch import Tensor

from df3d.errors import ConfigError
from df3d.scene.options import OrbitConfig
from df3d.schedule import Schedule, Step
from df3d.types import Cameras


def look_at(azimuth: Tensor, elevation: Tensor, distance: Tensor, fov_y: Tensor, *, height: int, width: int) -> Cameras:
    """Cameras on a sphere, looking at the origin, +Y up. All arguments (V,), angles in degrees."""
    az, el = torch.deg2rad(azimuth), torch.deg2rad(elevation)
    back = torch.stack([el.cos() * az.sin(), el.sin(), el.cos() * az.cos()], dim=-1)  # from the origin to the camera
    right = torch.stack([az.cos(), torch.zeros_like(az), -az.sin()], dim=-1)  # defined at the poles too
    up = torch.linalg.cross(back, right)
    pose = torch.eye(4, dtype=back.dtype, device=back.device).repeat(len(azimuth), 1, 1)
    pose[:, :3, 0], pose[:, :3, 1], pose[:, :3, 2] = right, up, back
    pose[:, :3, 3] = back * distance[:, None]
    return Cameras(pose, fov_y, azimuth, elevation, distance, height, width)


def orbit(
    views: int, *, elevation: float = 15.0, distance: float = 3.0, fov_y: float = 40.0, size: int = 256, start: float = 0.0
) -> Cameras:
    """`views` cameras evenly around the object, the first at azimuth `start`, going counter-clockwise seen from above."""
    azimuth = (start + torch.arange(views) * (360.0 / views) + 180.0) % 360.0 - 180.0
    full = torch.ones(views)
    return look_at(azimuth, elevation * full, distance * full, fov_y * full, height=size, width=size)


def rays(cameras: Cameras) -> tuple[Tensor, Tensor]:
    """Origins and unit directions through the pixel centres, each (V, H, W, 3)."""
    height, width, pose = cameras.height, cameras.width, cameras.pose
    half = torch.tan(0.5 * torch.deg2rad(cameras.fov_y))[:, None, None]
    y = (1.0 - (torch.arange(height, device=pose.device) + 0.5) * (2.0 / height))[None, :, None] * half
    x = ((torch.arange(width, device=pose.device) + 0.5) * (2.0 / width) - 1.0)[None, None, :] * half * (width / height)
    local = torch.stack(torch.broadcast_tensors(x, y, x.new_full((), -1.0)), dim=-1)
    directions = torch.nn.functional.normalize(torch.einsum("vij,vhwj->vhwi", pose[:, :3, :3], local), dim=-1)
    return pose[:, None, None, :3, 3].expand_as(directions), directions


def pixels(size: int | Schedule, step: Step) -> int:
    """Height and width of a render at a step; one that changes goes by multiples of 8."""
    return size if isinstance(size, int) else max(8, 8 * round(size.at(step) / 8))


class OrbitCameras:
    """The sampler `orbit`: azimuths stratified over the circle, the rest uniform in the config's ranges.

    A group of G shares elevation, distance and field of view, its azimuths 360 / G degrees apart, as multi-view models are
    trained (MVDream, arXiv 2308.16512, section 3.2); the groups' first cameras are stratified over those 360 / G degrees.
    """

    def __init__(self, config: OrbitConfig, *, group: int = 1) -> None:
        if config.views % group:
            hint = f"take a multiple of {group}"
            raise ConfigError(f"`cameras.views` is {config.views}, and the guidance judges {group} together", hint)
        self.config, self.group = config, group

    def sample(self, step: Step) -> Cameras:
        generator, config, group = step.generator("cameras"), self.config, self.group
        count = config.views // group

        def uniform(low: float, high: float) -> Tensor:
            return (low + (high - low) * torch.rand(count, generator=generator)).repeat_interleave(group)

        offset = torch.rand(1, generator=generator)
        slot = (torch.arange(count) + offset + 0.5 * torch.rand(count, generator=generator)) * (360.0 / (count * group))
        around = slot.repeat_interleave(group) + torch.arange(group).repeat(count) * (360.0 / group)
        size = pixels(config.size, step)
        elevation, distance, fov_y = uniform(*config.elevation), uniform(*config.distance), uniform(*config.fov_y)
        return look_at(around % 360.0 - 180.0, elevation, distance, fov_y, height=size, width=size)
