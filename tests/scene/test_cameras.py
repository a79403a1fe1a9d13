from __future__ import annotations

import math

import pytest
import torch

from df3d.errors import ConfigError
from df3d.scene import cameras
from df3d.scene.options import OrbitConfig
from df3d.schedule import Schedule, Step


def test_azimuth_0_stands_in_front_and_90_at_the_objects_left() -> None:
    views = cameras.orbit(4, elevation=0.0, distance=2.0, size=3)
    positions = views.pose[:, :3, 3]
    expected = torch.tensor([[0.0, 0, 2], [2, 0, 0], [0, 0, -2], [-2, 0, 0]])
    torch.testing.assert_close(positions, expected, atol=1e-6, rtol=0)


def test_the_middle_ray_meets_the_origin_and_rows_go_down() -> None:
    views = cameras.orbit(3, elevation=20.0, distance=3.0, size=5)
    origins, directions = cameras.rays(views)
    torch.testing.assert_close(directions.norm(dim=-1), torch.ones(3, 5, 5))
    middle = origins[:, 2, 2] + 3.0 * directions[:, 2, 2]
    torch.testing.assert_close(middle, torch.zeros(3, 3), atol=1e-6, rtol=0)
    assert (directions[:, 0, 2, 1] > directions[:, 4, 2, 1]).all()
    right = views.pose[:, :3, 0]
    assert ((directions[:, 2, 4] * right).sum(-1) > 0).all()


def test_poses_are_rotations_even_at_the_poles() -> None:
    angles = torch.tensor([90.0, -90.0, 0.0])
    views = cameras.look_at(torch.zeros(3), angles, torch.ones(3), 40 * torch.ones(3), height=2, width=2)
    rotation = views.pose[:, :3, :3]
    torch.testing.assert_close(rotation @ rotation.mT, torch.eye(3).expand(3, 3, 3), atol=1e-6, rtol=0)
    torch.testing.assert_close(torch.linalg.det(rotation), torch.ones(3))


def test_the_field_of_view_is_the_vertical_one() -> None:
    views = cameras.look_at(torch.zeros(1), torch.zeros(1), torch.ones(1), 90 * torch.ones(1), height=1000, width=10)
    _, directions = cameras.rays(views)
    top = directions[0, 0, 5]
    assert abs(float(torch.rad2deg(torch.atan2(top[1], -top[2]))) - 45.0) < 0.1


def test_renders_grow_by_multiples_of_eight() -> None:
    config = OrbitConfig(size=Schedule(30, 64))
    assert [cameras.OrbitCameras(config).sample(Step(index, 5)).height for index in range(5)] == [32, 40, 48, 56, 64]
    assert cameras.OrbitCameras(OrbitConfig(size=30)).sample(Step(0, 5)).width == 30


def test_training_cameras_cover_the_circle_within_their_ranges_and_repeat() -> None:
    config = OrbitConfig(views=8, elevation=(-5.0, 30.0), distance=(2.0, 2.5), fov_y=(30.0, 50.0))
    first, again = (cameras.OrbitCameras(config).sample(Step(4, 10, "coarse", 3)) for _ in range(2))
    assert torch.equal(first.pose, again.pose)
    assert not torch.equal(first.pose, cameras.OrbitCameras(config).sample(Step(5, 10, "coarse", 3)).pose)
    around = torch.sort(first.azimuth % 360).values
    gaps = torch.diff(around, append=around[:1] + 360)
    assert len(gaps) == 8
    assert gaps.max() < 2 * 360 / 8  # stratified: one in each eighth
    assert ((first.elevation >= -5) & (first.elevation <= 30)).all()
    assert ((first.distance >= 2) & (first.distance <= 2.5)).all()


def test_a_group_sees_one_moment_from_all_around() -> None:
    """As multi-view models are trained: one elevation and distance, azimuths evenly apart."""
    seen = cameras.OrbitCameras(OrbitConfig(views=8, elevation=(-5.0, 60.0), distance=(2.0, 4.0)), group=4).sample(Step(3, 10))
    for group in (seen[:4], seen[4:]):
        assert torch.allclose(group.elevation, group.elevation[:1])
        assert torch.allclose(group.distance, group.distance[:1])
        turns = torch.diff(group.azimuth % 360, append=group.azimuth[:1] % 360) % 360
        torch.testing.assert_close(turns, torch.full((4,), 90.0), atol=1e-3, rtol=0)
    assert not torch.allclose(seen[0:1].elevation, seen[4:5].elevation)
    with pytest.raises(ConfigError, match="the guidance judges 4 together"):
        cameras.OrbitCameras(OrbitConfig(views=6), group=4)


def test_a_wide_picture_sees_as_much_more_to_the_sides() -> None:
    wide = cameras.orbit(1, elevation=0.0, fov_y=40.0).resized(20, 60)
    _, directions = cameras.rays(wide)
    x, y, z = directions[0].unbind(-1)
    up, side = (y / -z)[0, 30], (x / -z)[10, 59]
    half = math.tan(math.radians(20.0))
    assert float(up) == pytest.approx(half * 19 / 20, abs=1e-4)
    assert float(side) == pytest.approx(half * 3 * 59 / 60, abs=1e-4)


def test_an_orbit_begins_where_it_is_told() -> None:
    assert cameras.orbit(4, start=30.0).azimuth.tolist() == [30.0, 120.0, -150.0, -60.0]
    assert cameras.orbit(2).azimuth.tolist() == [0.0, -180.0]


def test_an_orbit_stands_a_little_above_and_sees_the_whole_ball() -> None:
    views = cameras.orbit(3)
    assert set(views.elevation.tolist()) == {15.0}
    assert set(views.distance.tolist()) == {3.0}
    assert set(views.fov_y.tolist()) == {40.0}
    assert (views.height, views.width) == (256, 256)


def test_a_render_has_at_least_eight_pixels_a_side() -> None:
    assert cameras.pixels(Schedule(1, 64), Step(0, 5)) == 8
    assert cameras.pixels(Schedule(20, 20), Step(0, 5)) == 16  # to the nearest multiple; of two the even one
    assert cameras.pixels(3, Step(0, 5)) == 3


def test_training_cameras_come_from_everywhere_in_their_ranges() -> None:
    sampler = cameras.OrbitCameras(OrbitConfig(views=4, elevation=(-10.0, 60.0), distance=(2.0, 4.0), fov_y=(30.0, 50.0)))
    seen = [sampler.sample(Step(index, 200)) for index in range(200)]

    def spread(name: str) -> torch.Tensor:
        return torch.cat([getattr(one, name) for one in seen])

    for name, low, high in (("elevation", -10.0, 60.0), ("distance", 2.0, 4.0), ("fov_y", 30.0, 50.0), ("azimuth", -180.0, 180.0)):
        values, width = spread(name), high - low
        assert low <= float(values.min()) < low + 0.02 * width, name
        assert high - 0.02 * width < float(values.max()) <= high, name
        assert float(values.mean()) == pytest.approx((low + high) / 2, abs=0.05 * width), name
    assert all(len(set(one.elevation.tolist())) == 4 for one in seen)  # each view of a step has its own


def test_views_of_a_step_are_not_evenly_apart() -> None:
    """Each stands anywhere in a half of its share of the circle, all shares turned together."""
    sampler = cameras.OrbitCameras(OrbitConfig(views=4))
    around = torch.stack([sampler.sample(Step(index, 300)).azimuth % 360 for index in range(300)])
    gaps = torch.diff(around, dim=1) % 360
    assert float(gaps.min()) == pytest.approx(45.0, abs=3.0)
    assert float(gaps.max()) == pytest.approx(135.0, abs=3.0)


def test_the_first_cameras_of_groups_share_what_lies_between_two_of_a_group() -> None:
    """Two groups of four: their first cameras are in one quarter of the circle, half of it apart on average."""
    sampler = cameras.OrbitCameras(OrbitConfig(views=8), group=4)
    firsts = torch.stack([sampler.sample(Step(index, 300)).azimuth[::4] % 360 for index in range(300)])
    apart = (firsts[:, 1] - firsts[:, 0]) % 360
    assert float(apart.min()) >= 22.5 - 1e-3
    assert float(apart.max()) <= 67.5 + 1e-3
    assert float(apart.mean()) == pytest.approx(45.0, abs=2.0)
