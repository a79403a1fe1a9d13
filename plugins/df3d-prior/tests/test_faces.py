"""The measure of second faces where the object is known: a beast of boxes, with one head and with more."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import trimesh
from df3d_prior.faces import CUTS, SEVERAL, janus, rings, with_faces
from df3d_prior.objects import Object, together
from df3d_prior.scorer import JANUS_RING, draw

ring = partial(draw, count=JANUS_RING)


def box(size: tuple[float, float, float], center: tuple[float, float, float], color: tuple[float, float, float]) -> Object:
    mesh = trimesh.creation.box(size)
    corners = (mesh.triangles + np.array(center)).astype(np.float32)
    faces = len(corners)
    paint = np.tile(np.float32(color), (faces, 3, 1))
    return Object(corners, paint, np.zeros((faces, 3, 2), np.float32), np.full(faces, -1))


HEAD = together(box((0.35, 0.35, 0.3), (0, 0.45, 0.6), (0.7, 0.5, 0.3)), box((0.25, 0.1, 0.02), (0, 0.5, 0.76), (0.05, 0.05, 0.1)))
BODY = together(box((0.4, 0.4, 1.0), (0, 0.2, 0), (0.6, 0.35, 0.2)), box((0.3, 0.4, 0.7), (0, -0.2, 0), (0.3, 0.2, 0.15)))
BEAST = together(BODY, HEAD).fitted()


@pytest.fixture(scope="module")
def known() -> list[np.ndarray]:
    return rings(BEAST, ring)


def with_second_head(angle: float, scale: float = 1.0) -> Object:
    """At the beast's other end, as no copy of its front is."""
    low, high = BODY.bounds()
    middle = HEAD.corners.reshape(-1, 3).mean(0)
    return together(together(BODY, HEAD), HEAD.moved(scale, (1 - scale) * middle).turned(angle, 0.5 * (low + high))).fitted()


def another(one: Object, stretch: tuple[float, float, float], angle: float, tint: float) -> np.ndarray:
    tinted = replace(one, paint=(one.paint * tint).clip(0, 1).astype(np.float32))
    return ring([tinted.moved(np.array(stretch), np.zeros(3)).turned(angle, np.zeros(3)).fitted()])[0]


def test_the_object_itself_has_no_second_face(known: list[np.ndarray]) -> None:
    assert janus(ring([BEAST])[0], known) == 0.0


@pytest.mark.parametrize("index", range(8))
def test_copies_of_its_front_are_second_faces(known: list[np.ndarray], index: int) -> None:
    assert janus(ring([with_faces(BEAST)[index]])[0], known) > SEVERAL


@pytest.mark.parametrize("tint", [0.8, 1.1])
@pytest.mark.parametrize("stretch", [(1.1, 1.0, 0.95), (0.9, 1.1, 1.0), (1.0, 0.9, 1.1)])
@pytest.mark.parametrize("angle", [-6.0, 5.0])
def test_a_second_head_is_told_on_another_beast(
    known: list[np.ndarray], stretch: tuple[float, float, float], angle: float, tint: float
) -> None:
    """Of other proportions, turned and tinted; neither kind of change is taken for a head."""
    assert janus(another(BEAST, stretch, angle, tint), known) < SEVERAL
    assert janus(another(with_second_head(170.0, 0.9), stretch, angle, tint), known) > SEVERAL


def test_it_grows_with_the_second_head(known: list[np.ndarray]) -> None:
    single, double = (another(one, (1.1, 1.0, 1.0), 5.0, 0.9) for one in (BEAST, with_second_head(180.0)))
    found = [janus((1 - share) * single + share * double, known) for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert found == sorted(found)
    assert found[-1] - found[0] > 0.2


def test_where_faces_would_not_be_seen_there_are_none() -> None:
    """A ball has no front, and is its own copy."""
    ball = trimesh.creation.icosphere(subdivisions=3)
    corners, faces = ball.triangles.astype(np.float32), len(ball.faces)
    paint = np.full((faces, 3, 3), 0.8, np.float32)
    one = Object(corners, paint, np.zeros((faces, 3, 2), np.float32), np.full(faces, -1)).fitted()
    assert janus(ring([one])[0], [ring([one, one])]) == 0.0


def test_two_faces_look_alike_from_the_front_and_from_behind() -> None:
    found = with_faces(BEAST)
    assert len(found) == 2 * (len(CUTS) + 1)
    beside, instead = found[:2]
    sides = ring([instead])[0]
    np.testing.assert_allclose(sides[0], sides[JANUS_RING // 2], atol=0.02)
    assert len(beside.corners) > len(instead.corners)
    thirds = ring([found[3]])[0]
    np.testing.assert_allclose(thirds[0], thirds[JANUS_RING // 3], atol=0.02)


def test_a_turn_goes_from_the_front_to_the_right_hand_and_keeps_the_middle() -> None:
    front = box((0.1, 0.1, 0.1), (0, 0, 1), (1, 1, 1))
    low, high = front.turned(90.0, np.zeros(3)).bounds()
    np.testing.assert_allclose(0.5 * (low + high), (1, 0, 0), atol=1e-6)
    low, high = front.turned(180.0, np.array((0.0, 0.0, 0.5))).bounds()
    np.testing.assert_allclose(0.5 * (low + high), (0, 0, 0), atol=1e-6)


def test_a_part_keeps_what_belongs_to_its_triangles() -> None:
    kept = np.arange(len(HEAD.corners)) % 2 == 0
    part = HEAD.part(kept)
    np.testing.assert_array_equal(part.corners, HEAD.corners[kept])
    np.testing.assert_array_equal(part.paint, HEAD.paint[kept])
    assert len(part.places) == len(part.textures) == kept.sum()
