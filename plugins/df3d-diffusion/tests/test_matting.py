"""The least opacity that explains a picture, by hand and for every picture that can be made."""

from __future__ import annotations

import pytest
import torch
from df3d_diffusion.matting import MARGIN, least_opacity


@pytest.mark.parametrize(
    ("image", "background", "expected"),
    [
        ((0.0, 0.0, 0.0), 0.0, 0.0),  # nothing there
        ((1.0, 0.0, 0.0), 0.0, 1.0),  # only opaque red is as red
        ((0.0, 0.0, -0.5), 0.0, 0.5),
        ((0.75, 0.5, 0.5), 0.5, 0.5),  # half the way from there to white
        ((-1.0, 0.5, 0.5), 0.5, 1.0),
        ((0.0, 1.0, 1.0), 1.0, 0.5),
    ],
)
def test_by_hand(image: tuple[float, float, float], background: float, expected: float) -> None:
    found = least_opacity(torch.tensor(image).view(1, 3, 1, 1), torch.full((1, 3, 1, 1), background))
    assert float(found) == pytest.approx(max(0.0, (expected - MARGIN) / (1 - MARGIN)), abs=1e-6)


def test_never_more_than_was_painted_with() -> None:
    color, background = (torch.rand(1, 3, 64, 64) * 2 - 1 for _ in range(2))
    opacity = torch.rand(1, 1, 64, 64)
    found = least_opacity(opacity * color + (1 - opacity) * background, background)
    assert bool((found <= opacity + 1e-4).all())


def test_exactly_that_where_the_paint_is_black_or_white() -> None:
    color, background = torch.rand(1, 1, 64, 64).round() * 2 - 1, torch.rand(1, 3, 64, 64) - 0.5
    opacity = torch.rand(1, 1, 64, 64)
    found = least_opacity(opacity * color + (1 - opacity) * background, background)
    torch.testing.assert_close(found, (opacity - MARGIN).clamp_min(0) / (1 - MARGIN), atol=1e-4, rtol=0)
