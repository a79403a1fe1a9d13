from __future__ import annotations

from collections import Counter

import pytest
import torch

from df3d.scene.cameras import orbit
from df3d.scene.options import ShadingConfig
from df3d.scene.shading import Lighting, lighting
from df3d.schedule import Step


def test_lambertian_is_ambient_plus_the_cosine_to_the_light() -> None:
    light = Lighting("lambertian", torch.tensor([[0.0, 0.0, 2.0]]), ambient=0.1, diffuse=0.9)
    normals = torch.nn.functional.normalize(torch.tensor([[0.0, 0, 1], [1, 0, 1], [0, 0, -1]]), dim=-1)
    albedo = torch.tensor([1.0, 0.5, 0.0]).expand(3, 3)
    color = light.shade(albedo, normals, torch.zeros(3, 3), torch.zeros(3, dtype=torch.long))
    factor = torch.tensor([1.0, 0.1 + 0.9 * 0.5**0.5, 0.1])
    torch.testing.assert_close(color, albedo * factor[:, None])


def test_textureless_shows_light_on_white_and_albedo_shows_no_light() -> None:
    points, views = torch.zeros(1, 3), torch.zeros(1, dtype=torch.long)
    normal, albedo = torch.tensor([[0.0, 0, 1]]), torch.tensor([[0.2, 0.4, 0.6]])
    place = torch.tensor([[0.0, 0, 2]])
    white = Lighting("textureless", place, 0.1, 0.4).shade(albedo, normal, points, views)
    torch.testing.assert_close(white, torch.full((1, 3), 0.5))
    assert torch.equal(Lighting("albedo", place, 0.1, 0.4).shade(albedo, normal, points, views), albedo)


def test_modes_come_with_their_probabilities_after_the_warm_up() -> None:
    config = ShadingConfig(albedo_until=0.2, lambertian=0.75, textureless=0.5)
    modes = [lighting(config, orbit(1), Step(i, 2000)).mode for i in range(2000)]
    assert set(modes[:399]) == {"albedo"}
    count = Counter(modes[400:])
    assert [count[mode] / 1600 for mode in ("albedo", "lambertian", "textureless")] == pytest.approx([0.25, 0.375, 0.375], abs=0.05)


def test_a_random_light_is_near_the_camera_and_a_head_light_at_it() -> None:
    cameras = orbit(4)
    lights = torch.stack([lighting(ShadingConfig(albedo_until=0), cameras, Step(i, 300)).position for i in range(300)])
    distance = lights.norm(dim=-1)
    assert 0.8 - 1e-6 <= float(distance.min()) < 0.82  # of all between
    assert 1.48 < float(distance.max()) <= 1.5 + 1e-6
    towards = (lights * cameras.pose[:, :3, 3]).sum(-1) / distance / cameras.pose[:, :3, 3].norm(dim=-1)
    assert 0.75 < float(towards.mean()) < 0.95  # on the camera's side, and not at it
    head = lighting(ShadingConfig(albedo_until=0, light="head"), cameras, Step(3, 10)).position
    assert torch.equal(head, cameras.pose[:, :3, 3])


def test_outside_training_the_light_is_at_the_camera() -> None:
    assert lighting(ShadingConfig(), orbit(1), None).mode == "lambertian"
    assert lighting(ShadingConfig(lambertian=0.0), orbit(1), None).mode == "albedo"
    assert lighting(ShadingConfig(albedo_until=1.0), orbit(1), None).mode == "albedo"  # no step of the stage was lit


def test_light_is_looked_for_from_each_point_and_by_each_view() -> None:
    """The cosine is that of the way from the point to its own view's light."""
    light = Lighting("lambertian", torch.tensor([[0.0, 0, 2], [3, 0, 0]]), ambient=0.0, diffuse=1.0)
    points, normals = torch.tensor([[1.0, 0, 1], [1, 0, 0]]), torch.tensor([[0.0, 0, 1], [0, 0, 1]])
    color = light.shade(torch.ones(2, 3), normals, points, torch.tensor([0, 1]))
    torch.testing.assert_close(color, torch.tensor([[0.5**0.5], [0.0]]).expand(2, 3))


def test_what_has_no_normals_shows_its_colour_alone() -> None:
    albedo, place = torch.tensor([[0.2, 0.4, 0.6]]), torch.tensor([[0.0, 0, 2]])
    for mode in ("lambertian", "textureless"):
        light = Lighting(mode, place, 0.1, 0.9)  # type: ignore[arg-type]
        assert light.needs_normals
        assert torch.equal(light.shade(albedo, None, torch.zeros(1, 3), torch.zeros(1, dtype=torch.long)), albedo)
    assert not Lighting("albedo", place, 0.1, 0.9).needs_normals


def test_light_begins_with_the_step_at_which_it_is_due() -> None:
    config = ShadingConfig(albedo_until=0.5, lambertian=1.0, textureless=0.0)
    modes = [lighting(config, orbit(1), Step(index, 101)).mode for index in (0, 49, 50, 51, 100)]
    assert modes == ["albedo", "albedo", "lambertian", "lambertian", "lambertian"]


def test_light_has_the_strength_that_it_is_given() -> None:
    config = ShadingConfig(albedo_until=0.0, ambient=0.3, diffuse=0.6)
    for step in (None, Step(1, 10)):
        light = lighting(config, orbit(2), step)
        assert (light.ambient, light.diffuse) == (0.3, 0.6)


def test_white_and_lit_are_drawn_apart() -> None:
    """Of the lit steps the share that is white does not depend on how many are lit."""
    config = ShadingConfig(albedo_until=0.0, lambertian=0.5, textureless=0.25)
    count = Counter(lighting(config, orbit(1), Step(i, 2000)).mode for i in range(2000))
    assert count["textureless"] / (count["textureless"] + count["lambertian"]) == pytest.approx(0.25, abs=0.04)


def test_a_random_light_lies_to_all_sides_of_its_camera() -> None:
    """The direction is that of the camera plus a normal draw: it strays alike to the left and to the right."""
    cameras = orbit(1, elevation=0.0, distance=3.0)
    config = ShadingConfig(albedo_until=0.0)
    lights = torch.cat([lighting(config, cameras, Step(i, 600)).position for i in range(600)])
    unit = lights / lights.norm(dim=-1, keepdim=True)
    assert abs(float(unit[:, 0].mean())) < 0.04
    assert abs(float(unit[:, 1].mean())) < 0.04
    expected = torch.nn.functional.normalize(
        torch.randn(100_000, 3, generator=torch.Generator().manual_seed(1)) + 3 * unit.new_tensor([0, 0, 1])
    )
    assert float(unit[:, 2].mean()) == pytest.approx(float(expected[:, 2].mean()), abs=0.02)
    step = Step(3, 10)
    drawn = torch.rand(3, generator=step.generator("cameras"))[2]
    assert float(lighting(config, cameras, step).position.norm()) != pytest.approx(0.8 + 0.7 * float(drawn))
