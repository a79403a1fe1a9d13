"""Noise that is carried from step to step: standard normal, the same for the same step, and moved with the camera."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from df3d_diffusion.config import NoiseKind
from df3d_diffusion.noise import _points, noise_for
from torch import Tensor

from df3d.scene.cameras import look_at, rays
from df3d.schedule import Step
from df3d.types import Cameras, RenderOutput

SHAPE = torch.Size((4, 4, 32, 32))


def sphere_of(cameras: Cameras, radius: float = 0.6) -> RenderOutput:
    """What is seen of a sphere around the origin."""
    origins, directions = rays(cameras)
    middle = -(origins * directions).sum(-1, keepdim=True)
    square = radius**2 - origins.square().sum(-1, keepdim=True) + middle.square()
    hit = (square > 0).float()
    return RenderOutput(hit.expand(-1, -1, -1, 3), hit, depth=hit * (middle - square.clamp_min(0).sqrt()))


def noise(kind: NoiseKind, index: int = 0, *, azimuth: tuple[float, ...] = (0.0, 0.0, 90.0, 45.0), every: int = 0, seed: int = 0,
          elevation: float = 0.0) -> Tensor:  # fmt: skip
    step, angles = Step(index, 100, "coarse", seed), torch.tensor(azimuth)
    cameras = look_at(angles, elevation + 0 * angles, 3 + 0 * angles, 40 + 0 * angles, height=64, width=64)
    return noise_for(kind, every, cameras, SHAPE, step, step.generator("guidance"), sphere_of(cameras))


@pytest.mark.parametrize("kind", ["fresh", "fixed", "sphere", "surface"])
@pytest.mark.parametrize(("index", "every"), [(0, 0), (7, 20), (15, 20)])
def test_it_is_standard_normal_and_the_same_again(kind: NoiseKind, index: int, every: int) -> None:
    found = noise(kind, index, every=every)
    assert found.shape == SHAPE
    assert abs(float(found.mean())) < 0.05
    assert abs(float(found.std()) - 1) < 0.05
    assert torch.equal(found, noise(kind, index, every=every))
    assert not torch.equal(found, noise(kind, index, every=every, seed=1))


def test_fresh_noise_differs_and_fixed_noise_does_not() -> None:
    assert not torch.equal(noise("fresh", 0), noise("fresh", 1))
    assert torch.equal(noise("fixed", 0), noise("fixed", 1))
    assert torch.equal(noise("fixed")[0], noise("fixed")[3])


def test_a_map_moves_with_the_camera() -> None:
    """64 columns are 360 degrees: 90 degrees are 16 of them, and a camera all the way round sees the same again."""
    same, again, side, _ = noise("sphere")
    assert torch.equal(same, again)
    assert torch.equal(same[:, :, 16:], side[:, :, :-16])
    round_, *_ = noise("sphere", azimuth=(360.0, 1.0, 2.0, 3.0))
    assert torch.equal(round_, same)
    above, *_ = noise("sphere", elevation=45.0)
    assert torch.equal(above[:, 8:], same[:, :-8])


def alike(one: Tensor, other: Tensor) -> float:
    """Their correlation."""
    return float(torch.corrcoef(torch.stack([one.flatten(), other.flatten()]))[0, 1])


def test_a_surface_carries_its_noise() -> None:
    """From 3 away at 40 degrees a pixel of 32 x 32 is 0.055 wide at the front of the sphere: 5.2 degrees move it by one."""
    pixel = 2 * 2.4 * math.tan(math.radians(20)) / 32
    turned = math.degrees(pixel / 0.6)
    front, moved, again, back = noise("surface", azimuth=(0.0, turned, 0.0, 180.0))
    middle = slice(13, 19)
    assert torch.equal(front, again)
    assert alike(front[:, middle, 13:19], moved[:, middle, 12:18]) > 0.6
    assert abs(alike(front[:, middle, 13:19], moved[:, middle, 13:19])) < 0.3
    assert abs(alike(front[:, 8:24, 8:24], back[:, 8:24, 8:24])) < 0.1  # another side of it
    assert torch.equal(front[:, :3], back[:, :3])  # behind it there is one picture


def test_pixels_of_a_surface_know_nothing_of_each_other() -> None:
    found = noise("surface")
    assert abs(alike(found[..., 8:23, 8:24], found[..., 9:24, 8:24])) < 0.05
    assert abs(alike(found[..., 8:24, 8:23], found[..., 8:24, 9:24])) < 0.05
    assert abs(float(found[..., 10:22, 10:22].std()) - 1) < 0.05


def test_carried_noise_turns_into_another_bit_by_bit() -> None:
    first, soon, middle, last = (noise("fixed", index, every=20)[0] for index in (0, 2, 10, 20))
    assert alike(first, soon) > 0.95
    assert abs(alike(first, middle) - 2**-0.5) < 0.05
    assert abs(alike(first, last)) < 0.05
    assert alike(noise("fixed", 19, every=20)[0], last) > 0.95


def test_a_wide_picture_carries_its_noise_in_its_own_pixels() -> None:
    """Half again as wide as high: a pixel is as large as before, so the same turn moves the surface by one pixel."""
    turned = math.degrees(2 * 2.4 * math.tan(math.radians(20)) / 32 / 0.6)
    angles, step = torch.tensor([0.0, turned]), Step(0, 100, "coarse", 0)
    cameras = look_at(angles, 0 * angles, 3 + 0 * angles, 40 + 0 * angles, height=64, width=96)
    front, moved = noise_for("surface", 0, cameras, torch.Size((2, 4, 32, 48)), step, step.generator("x"), sphere_of(cameras))
    middle = slice(13, 19)
    assert alike(front[:, middle, 21:27], moved[:, middle, 20:26]) > 0.6
    assert abs(alike(front[:, middle, 21:27], moved[:, middle, 21:27])) < 0.3


def test_what_lets_most_light_through_carries_nothing() -> None:
    """There one picture is behind all views, as where there is no surface."""
    angles, step = torch.tensor([0.0, 90.0]), Step(0, 100, "coarse", 0)
    cameras = look_at(angles, 0 * angles, 3 + 0 * angles, 40 + 0 * angles, height=64, width=64)
    seen = sphere_of(cameras)
    shape = torch.Size((2, 4, 32, 32))
    pale = noise_for("surface", 0, cameras, shape, step, step.generator("x"), replace(seen, opacity=0.4 * seen.opacity))
    assert torch.equal(pale, noise_for("fixed", 0, cameras, shape, step, step.generator("x")))


def test_points_that_carry_noise_are_even_in_the_ball() -> None:
    """Half of them, by volume, lie beyond 0.5^(1/3) of the radius, and a tenth within 0.1^(1/3)."""
    radii = _points().norm(dim=1)
    assert float(radii.max()) <= 1.0
    for share in (0.1, 0.5, 0.9):
        assert float((radii < share ** (1 / 3)).float().mean()) == pytest.approx(share, abs=0.01)


@pytest.mark.parametrize("kind", ["fixed", "sphere", "surface"])
def test_every_stage_has_carried_noise_of_its_own_that_turns(kind: NoiseKind) -> None:
    angles = torch.tensor([0.0, 0.0])
    cameras = look_at(angles, angles, 3 + angles, 40 + angles, height=64, width=64)

    def drawn(index: int, stage: str, every: int) -> Tensor:
        step = Step(index, 100, stage, 0)
        return noise_for(kind, every, cameras, torch.Size((2, 4, 32, 32)), step, step.generator("x"), sphere_of(cameras))

    middle = (slice(None), slice(None), slice(8, 24), slice(8, 24))
    first = drawn(0, "coarse", 10)[middle]
    assert alike(first, drawn(2, "coarse", 10)[middle]) > 0.9
    assert abs(alike(first, drawn(10, "coarse", 10)[middle])) < 0.1
    assert torch.equal(drawn(0, "coarse", 0), drawn(10, "coarse", 0))
    assert abs(alike(first, drawn(0, "fine", 10)[middle])) < 0.1


def test_from_above_a_surface_s_noise_is_seen_lower() -> None:
    """By one pixel, for a camera that rose by one of them at the front of the sphere."""
    risen = math.degrees(2 * 2.4 * math.tan(math.radians(20)) / 32 / 0.6)
    elevation, step = torch.tensor([0.0, risen]), Step(0, 100, "coarse", 0)
    cameras = look_at(0 * elevation, elevation, 3 + 0 * elevation, 40 + 0 * elevation, height=64, width=64)
    front, above = noise_for("surface", 0, cameras, torch.Size((2, 4, 32, 32)), step, step.generator("x"), sphere_of(cameras))
    middle = slice(13, 19)
    assert alike(front[:, 13:19, middle], above[:, 14:20, middle]) > 0.6
    assert abs(alike(front[:, 13:19, middle], above[:, 12:18, middle])) < 0.3
