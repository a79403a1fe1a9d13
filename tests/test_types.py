"""Cameras as they are passed around, and what an asset is without a word."""

from __future__ import annotations

import numpy as np
import torch

from df3d.scene.cameras import orbit
from df3d.testing import a_mesh
from df3d.types import Material, MeshAsset


def test_cameras_times_over_come_one_round_after_another() -> None:
    cameras = orbit(3, size=8)
    twice = cameras.times(2)
    assert len(twice) == 6
    for name in ("pose", "fov_y", "azimuth", "elevation", "distance"):
        one = getattr(cameras, name)
        assert torch.equal(getattr(twice, name), torch.cat([one, one]))
    assert (twice.height, twice.width) == (8, 8)


def test_some_cameras_are_these_in_all_they_say() -> None:
    cameras = orbit(4, size=8)
    for index in (slice(1, 3), torch.tensor([1, 2])):
        some = cameras[index]
        assert torch.equal(some.pose, cameras.pose[1:3])
        assert some.azimuth.tolist() == cameras.azimuth.tolist()[1:3]
        assert len(some.distance) == len(some.elevation) == len(some.fov_y) == 2


def test_another_size_is_height_by_width_and_the_views_stay() -> None:
    cameras = orbit(2, size=8)
    wide = cameras.resized(20, 60)
    assert (wide.height, wide.width) == (20, 60)
    assert torch.equal(wide.pose, cameras.pose)
    assert (cameras.height, cameras.width) == (8, 8)


def test_what_is_drawn_with_moves_to_the_device_and_what_is_said_stays() -> None:
    moved = orbit(2, size=8).to("meta")
    assert (moved.pose.device.type, moved.fov_y.device.type) == ("meta", "meta")
    assert {moved.azimuth.device.type, moved.elevation.device.type, moved.distance.device.type} == {"cpu"}


def test_a_material_is_matt_solid_and_seen_from_both_sides() -> None:
    plain = Material(np.zeros((1, 1, 3), np.float32))
    assert (plain.metallic, plain.roughness, plain.unlit, plain.two_sided, plain.nearest) == (0.0, 0.9, False, True, False)
    assert (plain.opacity, plain.cutoff, plain.normal, plain.wrap) == (None, None, None, ("repeat", "repeat"))


def test_materials_are_counted_from_the_first() -> None:
    first, second = (Material(np.full((1, 1, 3), value, np.float32)) for value in (0.1, 0.2))
    asset = MeshAsset(a_mesh().mesh, first, (second,))
    assert asset.materials == (first, second)
    assert (asset.up, asset.provenance, asset.notes) == ("y", {}, ())
