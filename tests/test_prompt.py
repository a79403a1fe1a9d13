from __future__ import annotations

from pathlib import Path

import pytest

from df3d.errors import PromptError
from df3d.prompt import Picture, Prompt, for_view, normalised
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


def test_a_prompt_may_have_a_thousand_characters() -> None:
    assert Prompt("a" * 1000).text == "a" * 1000
    with pytest.raises(PromptError, match="1001 characters") as error:
        Prompt("a" * 1001)
    assert "1000" in error.value.hint


def test_case_and_spaces_are_what_nobody_minds() -> None:
    assert normalised("  A  Red\n\tCAR ") == "a red car"
    assert normalised("STRASSE") == normalised("straße")


def test_a_picture_has_a_whole_camera_or_none() -> None:
    Picture(Path("a.png"))
    for azimuth, elevation in ((0.0, 0.0), (-360.0, -90.0), (360.0, 90.0), (270.0, 45.0)):
        Picture(Path("a.png"), azimuth, elevation)
    for azimuth, elevation in ((0.0, None), (None, 0.0)):
        with pytest.raises(PromptError, match="has half a camera"):
            Picture(Path("a.png"), azimuth, elevation)
    for azimuth, elevation in ((361.0, 0.0), (-361.0, 0.0), (0.0, 91.0), (0.0, -91.0), (float("nan"), 0.0), (0.0, float("nan"))):
        with pytest.raises(PromptError, match="of picture `a.png` is"):
            Picture(Path("a.png"), azimuth, elevation)


def test_a_prompt_offers_what_it_holds() -> None:
    assert Prompt("a car").offers == set()
    assert Prompt("a car", negative="  ").offers == set()
    whole = Prompt("a car", "ugly", (Picture(Path("a.png")),), Path("a.glb"))
    assert whole.offers == {"negative", "image", "mesh"}


def test_a_record_tells_files_by_what_is_in_them(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"abc")
    digest = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"  # FIPS 180-2, appendix B.1
    picture = Picture(tmp_path / "a.png", 30.0, -10.0)
    assert Prompt("a car", "ugly", (picture,), tmp_path / "a.png").record() == {
        "prompt": "a car",
        "negative": "ugly",
        "pictures": [{"path": str(tmp_path / "a.png"), "azimuth": 30.0, "elevation": -10.0, "sha256": digest}],
        "mesh": {"path": str(tmp_path / "a.png"), "sha256": digest},
    }
    assert Prompt("a car").record() == {"prompt": "a car", "negative": ""}
    for prompt in (Prompt("a car", mesh=tmp_path / "gone"), Prompt("a car", pictures=(Picture(tmp_path / "gone"),))):
        with pytest.raises(PromptError, match="cannot be read: No such file"):
            prompt.record()
