"""What cameras, light and view-dependent prompts are without a word from the recipe, and what they cannot be."""

from __future__ import annotations

import pytest

from df3d.plugin.records import Workload
from df3d.scene.options import BackgroundConfig, OrbitConfig, ShadingConfig, ViewConfig, workload
from df3d.schedule import Schedule


def test_the_defaults_are_those_that_the_reference_names() -> None:
    assert OrbitConfig() == OrbitConfig(views=4, size=64, elevation=(-10.0, 60.0), distance=(3.0, 3.0), fov_y=(35.0, 35.0))
    assert ShadingConfig() == ShadingConfig(
        albedo_until=0.2, lambertian=0.75, textureless=0.5, ambient=0.1, diffuse=0.9, light="random"
    )
    assert BackgroundConfig() == BackgroundConfig(background="fixed", background_color=(1.0, 1.0, 1.0))
    assert ViewConfig() == ViewConfig(enabled=True, front=45.0, back=45.0, overhead=60.0)


def test_a_camera_stays_outside_the_ball_that_the_object_fills() -> None:
    OrbitConfig(distance=(1.01, 5.0))
    for nearest in (1.0, 0.5, float("nan")):
        with pytest.raises(ValueError, match="must be more than 1"):
            OrbitConfig(distance=(nearest, 5.0))


def test_the_share_of_lit_steps_is_a_probability() -> None:
    ShadingConfig(lambertian=0.0, textureless=0.0)
    ShadingConfig(lambertian=1.0, textureless=1.0)
    for wrong in ({"lambertian": 1.1}, {"lambertian": -0.1}, {"textureless": 1.1}, {"textureless": -0.1}):
        with pytest.raises(ValueError, match="probabilities between 0 and 1"):
            ShadingConfig(**wrong)  # type: ignore[arg-type]


def test_a_step_asks_for_all_its_views_at_their_largest() -> None:
    assert workload(OrbitConfig(views=6, size=48)) == Workload(6, 48)
    assert workload(OrbitConfig(views=2, size=Schedule(64, 128))) == Workload(2, 128)
    assert workload(OrbitConfig(views=2, size=Schedule(128, 64))) == Workload(2, 128)


def test_a_camera_at_the_limit_of_the_back_sees_the_back() -> None:
    assert ViewConfig().view(135.0, 0.0) == "back"
    assert ViewConfig().view(-135.0, 0.0) == "back"
    assert ViewConfig(front=30.0, back=60.0).view(130.0, 0.0) == "back"
    assert ViewConfig(front=30.0, back=60.0).view(40.0, 0.0) == "side"
