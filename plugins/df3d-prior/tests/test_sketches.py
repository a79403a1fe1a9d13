from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shelf
import torch
from df3d_diffusion.conditioning import sketch_map, split_sketches, with_sketches
from df3d_prior.library import load
from df3d_prior.sketches import Basis, Sketches, pictures
from df3d_prior.words import DIRECTIONS, Caption, Thing, mixture

from df3d.errors import ModelError


@pytest.fixture(scope="module")
def sketches(tmp_path_factory: pytest.TempPathFactory) -> tuple[Sketches, np.ndarray]:
    library = load(shelf.make(tmp_path_factory.mktemp("library")))
    drawn = pictures(library.objects)
    basis = Basis.of(drawn)
    return Sketches(basis, [entry.word for entry in library.entries], basis.codes(drawn)), drawn


@pytest.mark.parametrize(("azimuth", "elevation"), DIRECTIONS)
def test_a_direction_of_its_own_has_all_the_weight(azimuth: float, elevation: float) -> None:
    assert mixture(azimuth, elevation) == [(DIRECTIONS.index((azimuth, elevation)), 1.0)]


@pytest.mark.parametrize(("azimuth", "elevation"), [(-180.0, -15.0), (359.9, 75.0), (22.5, 35.0), (-100.0, 10.0)])
def test_weights_sum_to_one(azimuth: float, elevation: float) -> None:
    found = mixture(azimuth, elevation)
    assert sum(weight for _, weight in found) == pytest.approx(1.0)
    assert len({direction for direction, _ in found}) == len(found) <= 4


def test_a_sketch_shows_the_object_from_the_camera(sketches: tuple[Sketches, np.ndarray]) -> None:
    known, drawn = sketches
    for i, word in enumerate(known.words):
        for direction, (azimuth, elevation) in enumerate(DIRECTIONS):
            seen = known.of(Caption(Thing(word)), azimuth, elevation)
            np.testing.assert_allclose(seen[0].permute(1, 2, 0), drawn[i, direction], atol=2e-3)
            assert not seen[1].any()


def test_two_things_have_two_sketches_and_no_caption_none(sketches: tuple[Sketches, np.ndarray]) -> None:
    known, _ = sketches
    one, other = known.words[:2]
    both = known.of(Caption(Thing(one, "red"), "on", Thing(other)), 30.0, 20.0)
    assert torch.equal(both[1], known.of(Caption(Thing(other)), 30.0, 20.0)[0])
    assert not known.of(None, 0.0, 0.0).any()
    assert not known.of(Caption(Thing("dog")), 0.0, 0.0).any()


def test_what_is_saved_is_read_to_within_a_byte(sketches: tuple[Sketches, np.ndarray], tmp_path: Path) -> None:
    known, _ = sketches
    known.save(tmp_path)
    again = Sketches.load(tmp_path, known.words)
    caption = Caption(Thing(known.words[0]))
    torch.testing.assert_close(again.of(caption, 10.0, 20.0), known.of(caption, 10.0, 20.0), atol=0.06, rtol=0)


def test_sketches_travel_behind_the_text_unchanged() -> None:
    text, pictures = torch.randn(3, 6, 128), torch.randn(3, 2, 4, 16, 16)
    back, seen = split_sketches(with_sketches(text, pictures), 2)
    assert torch.equal(back, text)
    assert torch.equal(seen, pictures)
    assert torch.equal(split_sketches(text, 0)[0], text)
    assert torch.equal(sketch_map(pictures, 16), pictures.flatten(1, 2))


def test_sketches_of_other_objects_and_damaged_ones_are_refused(sketches: tuple[Sketches, np.ndarray], tmp_path: Path) -> None:
    known, _ = sketches
    known.save(tmp_path)
    with pytest.raises(ModelError, match="does not fit the objects"):
        Sketches.load(tmp_path, known.words[1:])
    path = tmp_path / "sketches.safetensors"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ModelError, match="cannot be read"):
        Sketches.load(tmp_path, known.words)
