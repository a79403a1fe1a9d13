"""Objects for training: painted, put together, and drawn."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import shelf
from df3d_prior import colors, objects, placing, raster
from df3d_prior.library import Library, load
from df3d_prior.sources import views_of
from df3d_toybox.captions import Caption, Thing
from df3d_toybox.world import render, scene
from df3d_toybox.world.mesh import asset_of


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return load(shelf.make(tmp_path_factory.mktemp("library")))


def named(library: Library, noun: str) -> objects.Object:
    return next(one for entry, one in zip(library.entries, library.objects, strict=True) if entry.noun == noun)


@pytest.mark.parametrize("name", colors.NAMES)
def test_each_colour_goes_by_its_name_in_light_and_shadow(name: str) -> None:
    shades = np.array([colors.COLORS[name]]) * np.array([[0.85], [1.0]])
    assert {colors.NAMES[i] for i in colors.name_indexes(shades)} == {name}


def test_oklab_of_white_and_of_the_primaries() -> None:
    """Values of B. Ottosson's page."""
    np.testing.assert_allclose(colors.oklab(np.ones(3)), (1, 0, 0), atol=1e-3)
    np.testing.assert_allclose(colors.oklab(np.array((1.0, 0, 0))), (0.628, 0.225, 0.126), atol=1e-3)
    np.testing.assert_allclose(colors.oklab(np.array((0, 0, 1.0))), (0.452, -0.032, -0.312), atol=1e-3)


def test_a_colour_of_less_than_a_tenth_is_no_main_colour() -> None:
    red, blue, white = (np.array(colors.COLORS[name], float) for name in ("red", "blue", "white"))
    area = np.array((0.05, 0.8, 0.15))
    assert colors.main_colors(np.stack([white, red, blue]), area) == ["red", "blue"]


def test_an_object_fills_its_ball_and_knows_its_colours(library: Library) -> None:
    for one in library.objects:
        assert np.linalg.norm(one.corners.reshape(-1, 3), axis=1).max() == pytest.approx(placing.RADIUS, abs=1e-5)
    assert [one.main_colors[0] for one in library.objects] == ["red", "blue", "green", "brown"]


def test_a_mesh_whose_z_is_up_is_turned_and_not_mirrored() -> None:
    upright = asset_of(scene.build(Caption(Thing("dog"))))
    lying = dataclasses.replace(upright.mesh, vertices=upright.mesh.vertices[:, [0, 2, 1]] * np.array((1, -1, 1), np.float32))
    turned = objects.of_asset(dataclasses.replace(upright, mesh=lying, up="z"))
    np.testing.assert_allclose(turned.corners, objects.of_asset(upright).corners, atol=1e-5)


def test_only_the_main_colour_is_painted(library: Library) -> None:
    pair = objects.together(named(library, "table"), named(library, "ball").moved(0.2, np.zeros(3)))
    assert pair.main_colors == ["brown"] or pair.main_colors[0] == "brown"
    painted = pair.painted("yellow")
    assert painted.main_colors[0] == "yellow"
    ball = slice(len(named(library, "table").corners), None)
    np.testing.assert_array_equal(painted.paint[ball], pair.paint[ball])


def test_a_mask_is_white_where_the_main_colour_is(library: Library) -> None:
    pair = objects.together(named(library, "table"), named(library, "ball").moved(0.2, np.zeros(3)))
    mask = pair.mask()
    ball = slice(len(named(library, "table").corners), None)
    assert (mask.paint[ball] == 0).all()
    assert (mask.paint[: ball.start] == 1).all()


def test_a_texture_is_painted_too() -> None:
    corners = np.array([[[0, 0, 0], [1, 0, 0], [1, 1, 0]], [[0, 0, 0], [1, 1, 0], [0, 1, 0]]], np.float32)
    places = np.array([[[0, 1], [1, 1], [1, 0]], [[0, 1], [1, 0], [0, 0]]], np.float32)
    image = np.empty((4, 4, 3), np.float32)
    image[:, :3], image[:, 3:] = colors.COLORS["red"], colors.COLORS["white"]
    one = objects.Object(corners, np.ones((2, 3, 3), np.float32), places, np.zeros(2, np.int64), (image,))
    assert one.main_colors[0] == "red"
    blue = one.painted("blue").images[0]
    assert {colors.NAMES[i] for i in colors.name_indexes(blue[:, 0])} == {"blue"}
    np.testing.assert_array_equal(blue[:, 3], image[:, 3])
    assert one.images[0] is image
    mask = one.mask()
    assert (mask.paint == 1).all()
    assert (mask.images[0][:, :3] == 1).all()
    assert (mask.images[0][:, 3] == 0).all()


def test_what_stands_on_something_stands_on_its_top(library: Library) -> None:
    table, ball = named(library, "table"), named(library, "ball")
    both = objects.joined("on", ball, table)
    rider, base = both.corners[: len(ball.corners)].reshape(-1, 3), both.corners[len(ball.corners) :].reshape(-1, 3)
    assert rider[:, 1].min() == pytest.approx(base[:, 1].max(), abs=0.03)
    assert base[:, 0].min() < rider[:, 0].mean() < base[:, 0].max()


def test_a_hat_sits_on_top_and_two_things_stand_beside_one_another(library: Library) -> None:
    post, ball = named(library, "post"), named(library, "ball")
    worn = objects.joined("wearing", post, ball)
    assert worn.corners[len(post.corners) :].mean((0, 1))[1] > worn.corners[: len(post.corners)].mean((0, 1))[1]
    low, high = worn.bounds()
    np.testing.assert_allclose(low, -high, atol=1e-5)
    assert np.linalg.norm(high) == pytest.approx(placing.RADIUS)
    pair = objects.joined("beside", post, ball)
    left, right = pair.corners[: len(post.corners)], pair.corners[len(post.corners) :]
    assert left[..., 0].max() < right[..., 0].min()
    assert left[..., 1].min() == pytest.approx(right[..., 1].min(), abs=1e-5)


def test_a_table_can_be_stood_on_and_a_ball_cannot(library: Library) -> None:
    found = dict(zip((entry.noun for entry in library.entries), library.bases(), strict=True))
    assert found["table"]
    assert not found["post"]


@pytest.mark.parametrize("noun", ["dog", "car", "house"])
def test_pictures_are_those_of_the_world(noun: str) -> None:
    """The rasteriser, on the world's meshes, against exact ray casting of its solids."""
    parts = scene.build(Caption(Thing(noun)))
    azimuth, elevation = np.array((0.0, 70.0, -140.0)), np.array((15.0, -10.0, 60.0))
    poses = views_of(azimuth, elevation, 64).pose.numpy()
    truth = render.render([render.pack(parts)] * 3, poses)
    drawn = raster.render([objects.of_asset(asset_of(parts))] * 3, poses, samples=2)
    assert np.abs(drawn - truth).mean() < 0.006
    assert drawn[..., 3].mean() == pytest.approx(truth[..., 3].mean(), rel=0.02)
