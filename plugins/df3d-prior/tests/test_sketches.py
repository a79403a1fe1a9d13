from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import shelf
import torch
from df3d_diffusion.conditioning import SKETCH, sketch_map, split_sketches, with_sketches
from df3d_prior import colors, raster
from df3d_prior.library import Library, load
from df3d_prior.objects import Object, joined
from df3d_prior.sketches import Sketched, Sketches, _moved, packed, pictures, unpacked
from df3d_prior.sources import views_of
from df3d_prior.words import DIRECTIONS, Caption, Thing, mixture

from df3d.errors import ModelError


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return load(shelf.make(tmp_path_factory.mktemp("library")))


@pytest.fixture(scope="module")
def sketches(library: Library) -> Sketches:
    return Sketches(dict(zip((entry.word for entry in library.entries), Sketched.all(library.objects), strict=True)))


def seen(one: Object, azimuth: float, elevation: float) -> np.ndarray:
    """(4, SKETCH, SKETCH) a true picture: colour in [-1, 1] and coverage."""
    pose = views_of(np.array([azimuth]), np.array([elevation]), SKETCH).pose.numpy()
    drawn = raster.render([one], pose, size=SKETCH, samples=4)[0]
    drawn[..., :3] = 2 * drawn[..., :3] - 1
    return drawn.transpose(2, 0, 1)


def off(sketch: torch.Tensor, truth: np.ndarray) -> float:
    """Mean difference of colour where the object is, as a share of what an empty sketch is off."""
    there = truth[3] > 0.5
    return float(np.abs(sketch[:3].numpy() - truth[:3])[:, there].mean() / np.abs(truth[:3])[:, there].mean())


@pytest.mark.parametrize(("azimuth", "elevation"), DIRECTIONS)
def test_a_direction_of_its_own_has_all_the_weight(azimuth: float, elevation: float) -> None:
    assert mixture(azimuth, elevation) == [(DIRECTIONS.index((azimuth, elevation)), 1.0)]


@pytest.mark.parametrize(("azimuth", "elevation"), [(-180.0, -15.0), (359.9, 75.0), (22.5, 35.0), (-100.0, 10.0)])
def test_weights_sum_to_one(azimuth: float, elevation: float) -> None:
    found = mixture(azimuth, elevation)
    assert sum(weight for _, weight in found) == pytest.approx(1.0)
    assert len({direction for direction, _ in found}) == len(found) <= 4
    mean = sum(weight * DIRECTIONS[direction][1] for direction, weight in found)
    assert mean == pytest.approx(min(max(elevation, 0.0), 60.0))


def test_what_stands_nearer_is_seen_larger() -> None:
    square = torch.zeros(4, SKETCH, SKETCH)
    square[3, SKETCH // 4 : -SKETCH // 4, SKETCH // 4 : -SKETCH // 4] = 1.0
    towards = views_of(np.array([0.0]), np.array([0.0]), SKETCH).pose[0, :3, 2].numpy()  # from the middle to the camera
    for step in (0.4, -0.4):
        area = float(_moved(square, (1.0, step * towards), 0.0, 0.0)[3].sum() / square[3].sum())
        assert area == pytest.approx((raster.DISTANCE / (raster.DISTANCE - step)) ** 2, rel=0.03)


def test_a_sheet_gives_back_its_pictures(library: Library) -> None:
    drawn = pictures(library.objects[:1])[0]
    assert np.abs(unpacked(packed(drawn)) / 255 - drawn).mean() < 0.02


@pytest.mark.parametrize("color", [None, "yellow"])
def test_a_sketch_shows_the_object_from_the_camera_in_its_colour(sketches: Sketches, library: Library, color: str | None) -> None:
    for entry, one in zip(library.entries, library.objects, strict=True):
        for azimuth, elevation in ((0.0, 0.0), (90.0, 30.0), (-45.0, 60.0)):
            sketch = sketches.of(Caption(Thing(entry.word, color)), azimuth, elevation)
            truth = seen(one.painted(color) if color else one, azimuth, elevation)
            assert off(sketch[0], truth) < 0.2
            assert np.abs(sketch[0][3].numpy() - truth[3]).mean() < 0.03
            assert not sketch[1].any()


@pytest.mark.parametrize("relation", ["on", "wearing", "beside", "two"])
@pytest.mark.parametrize(("azimuth", "elevation"), [(0.0, 0.0), (60.0, 30.0), (-90.0, 60.0), (180.0, 0.0)])
def test_things_are_sketched_where_they_stand(
    sketches: Sketches, library: Library, relation: str, azimuth: float, elevation: float
) -> None:
    words = {entry.noun: entry.word for entry in library.entries}
    things = {entry.noun: one for entry, one in zip(library.entries, library.objects, strict=True)}
    other = None if relation == "two" else Thing(words["table"])
    drawn = sketches.of(Caption(Thing(words["ball"]), relation, other), azimuth, elevation)
    both = joined(relation, things["ball"], things["table" if other else "ball"])
    truth = seen(both, azimuth, elevation)[3]
    whole = np.maximum(drawn[0][3].numpy(), drawn[1][3].numpy())
    assert np.minimum(whole, truth).sum() / np.maximum(whole, truth).sum() > 0.8


def test_what_has_no_sketch_is_empty(sketches: Sketches) -> None:
    assert not sketches.of(None, 0.0, 0.0).any()
    assert not sketches.of(Caption(Thing("dog")), 0.0, 0.0).any()


def test_what_is_saved_is_read_again(sketches: Sketches, tmp_path: Path) -> None:
    words = list(sketches.objects)
    sketches.save(tmp_path)
    again = Sketches.load(tmp_path, words)
    caption = Caption(Thing(words[0], "red"), "on", Thing(words[1]))
    torch.testing.assert_close(again.of(caption, 10.0, 20.0), sketches.of(caption, 10.0, 20.0), atol=1e-4, rtol=0)


def test_sketches_travel_behind_the_text_unchanged() -> None:
    text, drawn = torch.randn(3, 6, 128), torch.randn(3, 2, 4, SKETCH, SKETCH)
    back, found = split_sketches(with_sketches(text, drawn), 2)
    assert torch.equal(back, text)
    assert torch.equal(found, drawn)
    assert torch.equal(split_sketches(text, 0)[0], text)
    assert torch.equal(sketch_map(drawn, SKETCH), drawn.flatten(1, 2))


def test_sketches_of_other_objects_and_damaged_ones_are_refused(sketches: Sketches, tmp_path: Path) -> None:
    words = list(sketches.objects)
    sketches.save(tmp_path)
    with pytest.raises(ModelError, match="does not fit the objects"):
        Sketches.load(tmp_path, words[1:])
    path = tmp_path / "sketches.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError, match="cannot be read"):
        Sketches.load(tmp_path, words)


@pytest.mark.parametrize(("lightness", "painted"), [(1.0, 0.25 * 0.5), (0.5, 0.4 * 0.5), (0.125, 1.4 * 0.5)])
def test_a_colour_is_as_light_as_the_surface_within_bounds(
    sketches: Sketches, monkeypatch: pytest.MonkeyPatch, lightness: float, painted: float
) -> None:
    """A surface of lightness 0.2, of an object whose main colour has another: never below 0.25 of the colour, nor above 1.4."""
    monkeypatch.setitem(colors.COLORS, "red", (0.5, 0.0, 0.0))
    (word, one), *_ = sketches.objects.items()
    sheet = np.full((len(DIRECTIONS), SKETCH, SKETCH, 5), 255, np.uint8)
    sheet[..., :3] = 51
    flat = Sketches({word: dataclasses.replace(one, lightness=lightness)}, {word: sheet})
    found = flat.of(Caption(Thing(word, "red")), 0.0, 0.0)[0]
    torch.testing.assert_close((found[0] + 1) / 2, torch.full((SKETCH, SKETCH), painted), atol=1e-4, rtol=0)
