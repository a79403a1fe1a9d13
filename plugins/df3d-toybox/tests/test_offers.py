"""What the toybox offers, and its command."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from df3d_prior.sources import views_of
from df3d_toybox import prompts
from df3d_toybox.captions import Caption, Thing
from df3d_toybox.config import ToyboxConfig, ToyboxScorerConfig
from df3d_toybox.hooks import df3d_guidance, df3d_recipes, df3d_scorers
from df3d_toybox.world import render, scene
from df3d_toybox.world.source import WorldSource, _words
from PIL import Image
from typer.testing import CliRunner

from df3d.cli import build
from df3d.errors import ConfigError, PromptError
from df3d.plugin.catalog import Catalog


def test_a_scorer_says_where_less_is_better_and_what_tables_show() -> None:
    (scorer,) = df3d_scorers()
    assert scorer.lower == {"rank", "chamfer", "color_error", "faces", "janus"}
    assert scorer.headline == ("iou", "top1", "top5", "f_score", "color_error", "faces", "janus")
    assert [plugin.accepts for plugin in df3d_guidance()] == [{"text", "negative"}]
    (folder,) = df3d_recipes()
    assert (folder / "toybox.toml").is_file()


def test_a_distance_of_nothing_finds_nothing_and_is_refused() -> None:
    with pytest.raises(ValueError, match="`within` must be more than 0"):
        ToyboxScorerConfig(within=0.0)
    assert ToyboxScorerConfig(within=1e-6).within == 1e-6


def test_a_prompt_is_read_by_the_prior_that_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    monkeypatch.setattr(prompts, "check_named", lambda text, config: asked.append(config.model) or [text])
    assert prompts.check("a car", ToyboxConfig()) == ["a car"]
    assert prompts.check("a car", ToyboxConfig(model="mine")) == ["a car"]
    assert asked == [str(prompts.FOLDER), "mine"]


def test_the_command_draws_eight_views_of_the_world_itself(tmp_path: Path) -> None:
    def drawn(caption: str, *more: str) -> tuple[np.ndarray, str]:
        done = CliRunner().invoke(build(Catalog.discover()), ["toybox", "draw", caption, "--out", str(tmp_path / "a.png"), *more])
        assert done.exit_code == 0, done.output
        return np.asarray(Image.open(tmp_path / "a.png")), done.output

    picture, told = drawn("a red car")
    assert picture.shape == (512, 1024, 3)
    assert told == f"{tmp_path / 'a.png'}\n"
    assert picture[0, 0].tolist() == [128, 128, 128]
    front, side = picture[:256, :256], picture[:256, 512:768]
    wide = [int((np.abs(view.astype(int) - 128).max(-1) > 20).any(0).sum()) for view in (front, side)]
    assert wide[0] < wide[1]  # the first is from the front, the third from the side: a car is longer than wide
    redder = (picture[..., 0].astype(int) - picture[..., 1] > 60).sum()
    assert redder > 5000
    assert np.array_equal(drawn("a red car")[0], picture)
    assert not np.array_equal(drawn("a red car", "--seed", "3")[0], picture)
    assert "note: it makes `a car`, and leaves out `shiny`, `boat`" in drawn("a shiny car and a boat")[1]


def test_what_cannot_be_drawn_is_said(tmp_path: Path) -> None:
    def refused(*arguments: str) -> BaseException | None:
        return CliRunner().invoke(build(Catalog.discover()), ["toybox", "draw", *arguments]).exception

    assert isinstance(refused("a flurb"), PromptError)
    for name in ("a.txt", "no/a.png"):
        assert isinstance(refused("a car", "--out", str(tmp_path / name)), ConfigError)


def test_training_pictures_are_the_worlds_from_the_angles_they_say() -> None:
    drawn = WorldSource().draw(np.random.default_rng(5), 4, 24)
    rng = np.random.default_rng(5)
    captions = [scene.sample_caption(rng) for _ in range(4)]
    scenes = [render.pack(scene.build(caption, rng)) for caption in captions]
    poses = views_of(drawn.azimuth, drawn.elevation, 24).pose.numpy()
    assert drawn.images.shape == (4, 24, 24, 3)
    np.testing.assert_array_equal(drawn.images, render.render(scenes, poses, size=24)[..., :3])
    assert list(drawn.captions) == [_words(caption) for caption in captions]


def test_a_thing_can_be_drawn_from_four_sides_at_once_and_from_its_front_more_often() -> None:
    drawn = WorldSource(views=4).draw(np.random.default_rng(5), 8, 24)
    assert drawn.captions[0] == drawn.captions[3] != drawn.captions[4] == drawn.captions[7]
    np.testing.assert_allclose(drawn.azimuth.reshape(2, 4) - drawn.azimuth[::4, None], np.tile([0, 90, 180, 270], (2, 1)))
    assert np.array_equal(drawn.elevation.reshape(2, 4), drawn.elevation[::4, None].repeat(4, 1))
    alone = WorldSource().draw(np.random.default_rng(5), 2, 24)
    np.testing.assert_array_equal(drawn.images[::4], alone.images)  # the same two things, the first from the same side
    many = WorldSource(fronts=4.0).draw(np.random.default_rng(5), 700, 2)
    quarter = (np.round(many.azimuth / 90) % 4).astype(int)
    counts = np.bincount(quarter, minlength=4)
    assert counts.sum() == 700
    assert abs(counts[0] - 400) < 50
    assert all(abs(count - 100) < 40 for count in counts[1:])


def test_a_caption_of_the_world_is_told_in_the_priors_words() -> None:
    told = _words(Caption(Thing("dog", "red"), "on", Thing("table", "blue")))
    assert (told.subject.word, told.subject.color, told.relation) == ("dog", "red", "on")
    assert told.other is not None
    assert (told.other.word, told.other.color) == ("table", "blue")
    assert _words(Caption(Thing("dog"))).other is None
