"""Where two things stand, by numbers worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest
from df3d_prior.placing import RADIUS, Place, Shape, places


def box(width: float, height: float, depth: float, *, top: float = 1.0) -> Shape:
    """A box on the ground; its seat is all of its upper side, its highest part a share `top` of its width and depth."""
    half = np.array((width / 2, 0.0, depth / 2))
    return Shape(
        -half,
        half + np.array((0.0, height, 0.0)),
        np.array((0.0, height, 0.0, width / 2, depth / 2)),
        np.array((0.0, height, 0.0)),
        np.array((top * width, 0.1, top * depth)),
    )


def moved(shape: Shape, place: Place) -> tuple[np.ndarray, np.ndarray]:
    scale, offset = place
    return scale * shape.low + offset, scale * shape.high + offset


@pytest.mark.parametrize("relation", ["on", "wearing", "beside", "two"])
def test_a_pair_fills_the_ball_and_is_in_its_middle(relation: str) -> None:
    one, other = box(1.0, 0.5, 0.8), box(0.6, 1.2, 0.6)
    boxes = [moved(shape, place) for shape, place in zip((one, other), places(relation, one, other), strict=True)]
    low, high = np.min([box[0] for box in boxes], axis=0), np.max([box[1] for box in boxes], axis=0)
    assert np.linalg.norm(high - low) / 2 == pytest.approx(RADIUS)
    np.testing.assert_allclose(low + high, 0, atol=1e-6)


def test_what_is_beside_stands_on_the_same_ground_with_a_gap_of_016() -> None:
    one, other = box(1.0, 0.5, 0.8), box(0.6, 1.2, 0.6)
    first, second = places("beside", one, other)
    (low, high), (other_low, _) = moved(one, first), moved(other, second)
    assert first[0] == second[0]
    assert (other_low[0] - high[0]) / first[0] == pytest.approx(0.16)
    assert low[1] == pytest.approx(other_low[1])


def test_what_is_on_something_fits_its_level_place() -> None:
    rider, base = box(1.0, 0.5, 0.5), box(0.5, 1.0, 2.0)
    first, second = places("on", rider, base)
    (low, _), (_, base_high) = moved(rider, first), moved(base, second)
    assert first[0] / second[0] == pytest.approx(2.4 * np.sqrt(0.25 * 1.0) / 1.0)
    assert (low[1] - base_high[1]) / second[0] == pytest.approx(-0.01)


@pytest.mark.parametrize(("top", "radius"), [(0.5, 0.25), (0.25, 0.125), (0.1, 0.125)])
def test_a_hat_is_as_wide_as_the_head_or_a_quarter_of_what_wears_it(top: float, radius: float) -> None:
    """Of a wearer that is 1 wide: its head's radius, and at least an eighth."""
    wearer, hat = box(1.0, 2.0, 1.0, top=top), box(1.0, 0.3, 1.0)
    first, second = places("wearing", wearer, hat)
    (_, high), (hat_low, _) = moved(wearer, first), moved(hat, second)
    assert second[0] / first[0] == pytest.approx(2.6 * radius)
    assert (high[1] - hat_low[1]) / first[0] == pytest.approx(0.1 * radius)
