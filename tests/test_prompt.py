from __future__ import annotations

import pytest

from df3d.errors import PromptError
from df3d.prompt import Prompt, for_view
from df3d.scene.options import ViewConfig


@pytest.mark.parametrize(
    ("azimuth", "elevation", "view"),
    [
        (0, 0, "front"),
        (45, 0, "front"),
        (46, 0, "side"),
        (-90, 20, "side"),
        (136, 0, "back"),
        (-180, 0, "back"),
        (10, 61, "overhead"),
        (359, 0, "front"),
        (10, 60, "front"),
    ],
)
def test_views_by_angle(azimuth: float, elevation: float, view: str) -> None:
    assert ViewConfig().view(azimuth, elevation) == view


def test_thresholds_come_from_the_config() -> None:
    narrow = ViewConfig(front=10, back=10, overhead=30)
    assert [narrow.view(20, 0), narrow.view(175, 0), narrow.view(0, 40)] == ["side", "back", "overhead"]
    assert for_view("a car", "side") == "a car, side view"


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_an_empty_prompt_is_refused(text: str) -> None:
    with pytest.raises(PromptError, match="the prompt is empty"):
        Prompt(text)


def test_an_endless_prompt_is_refused() -> None:
    with pytest.raises(PromptError, match="5000 characters"):
        Prompt("a" * 5000)
