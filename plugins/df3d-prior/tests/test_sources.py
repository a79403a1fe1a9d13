"""What a training sees: which captions come how often, from where, in which colours, and what is remembered."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import shelf
import torch
from df3d_prior import figures, memory, sides
from df3d_prior.config import TrainConfig
from df3d_prior.library import Entry, Library, load
from df3d_prior.memory import MemorySource, remember
from df3d_prior.sources import Drawn, LibrarySource, random_angles
from df3d_prior.words import Caption, Thing

COUNT = 1500


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Library:
    return load(shelf.make(tmp_path_factory.mktemp("library")))


def captions(source: LibrarySource, count: int = COUNT) -> list[Caption]:
    rng = np.random.default_rng(0)
    return [source._sample(rng)[0] for _ in range(count)]


def noun(thing: Thing | None) -> str:
    assert thing is not None
    return thing.word.split("/")[0]


def test_most_captions_are_of_one_thing_and_some_of_two(library: Library) -> None:
    """Shares of 0.76, 0.12, 0.05, 0.04 and 0.03; all nouns as often; of natural colours 0.55."""
    found = captions(LibrarySource(library))
    shares = {kind: count / COUNT for kind, count in Counter(caption.relation for caption in found).items()}
    for kind, share in ((None, 0.76), ("on", 0.12), ("wearing", 0.05), ("beside", 0.04), ("two", 0.03)):
        assert shares[kind] == pytest.approx(share, abs=0.03)
    nouns = Counter(noun(caption.subject) for caption in found)
    assert all(count / COUNT == pytest.approx(0.25, abs=0.04) for count in nouns.values())
    assert sum(caption.subject.color is None for caption in found) / COUNT == pytest.approx(0.55, abs=0.04)
    assert {noun(caption.other) for caption in found if caption.relation == "on"} <= {"box", "table"}  # which are level
    assert {noun(caption.other) for caption in found if caption.relation == "beside"} == {"box", "ball", "post", "table"}
    assert all((caption.other is None) == (caption.relation in (None, "two")) for caption in found)


def test_what_has_no_colour_of_its_own_is_painted_more_often(library: Library) -> None:
    entries = [replace(entry, caption=entry.caption.replace("a ", "a {colour} ")) for entry in library.entries]
    found = captions(LibrarySource(Library(entries, library.objects)))
    assert sum(caption.subject.color is None for caption in found) / COUNT == pytest.approx(0.25, abs=0.04)


def test_the_plainest_object_of_a_noun_comes_most_often(library: Library) -> None:
    """Of three: the first in 0.7 (1 - exp(-1/2)) + 0.1 of the cases, the last in 0.7 exp(-1) + 0.1."""
    rows = [("an old small box", 0), ("a {colour} box", 1), ("a box", 2)]
    entries = [Entry(f"{i}", "box", caption, f"{i}", word=f"box/{i}") for caption, i in rows]
    found = Counter(caption.subject.word for caption in captions(LibrarySource(Library(entries, [library.objects[0]] * 3)), 3000))
    first, last = 0.7 * (1 - np.exp(-0.5)) + 0.1, 0.7 * np.exp(-1.0) + 0.1
    assert found["box/2"] / 3000 == pytest.approx(first, abs=0.03)
    assert found["box/1"] / 3000 == pytest.approx(last, abs=0.03)


def test_props_come_second_and_hats_are_worn(library: Library) -> None:
    """A fifth of what is beside and below; four fifths of what is worn, of the hats among them."""
    entries = [Entry("", name, f"a {name}", name, word=f"{name}/world") for name in ("tree", "hat")]
    own = [replace(entry, noun="crown", word="crown/0") if entry.noun == "post" else entry for entry in library.entries]
    found = captions(LibrarySource(Library(own, library.objects), Library(entries, library.objects[:2])), 6000)
    worn = Counter(noun(caption.other) for caption in found if caption.relation == "wearing")
    assert set(worn) == {"hat", "crown"}
    assert worn["hat"] / worn.total() == pytest.approx(0.8, abs=0.08)
    below = Counter(noun(caption.other) for caption in found if caption.relation == "on")
    assert (below["tree"] + below["hat"]) / below.total() == pytest.approx(0.2, abs=0.05)
    assert not {noun(caption.subject) for caption in found} & {"tree", "hat"}


def test_what_is_painted_is_painted(library: Library) -> None:
    rng = np.random.default_rng(1)
    for _ in range(60):
        caption, one = LibrarySource(library)._sample(rng)
        if caption.relation is None and caption.subject.color:
            assert one.main_colors[0] == caption.subject.color


def test_cameras_are_all_around_and_between_their_elevations() -> None:
    azimuth, elevation = random_angles(np.random.default_rng(0), 4000)
    assert (azimuth.min() < -178, azimuth.max() > 178) == (True, True)
    assert (round(elevation.min()), round(elevation.max())) == (-15, 75)
    assert abs(azimuth.mean()) < 6


def remembered(count: int, size: int = 4) -> MemorySource:
    """Pictures whose grey, caption and angles tell their number."""
    numbers = np.arange(count, dtype=np.float32)
    images = np.broadcast_to(numbers[:, None, None, None], (count, size, size, 3)).copy()
    images[:, ::2, ::2] += 0.4  # in one of four pixels
    return MemorySource(Drawn(images, [Caption(Thing(f"a/{i}")) for i in range(count)], numbers, 10 * numbers))


@pytest.mark.parametrize("size", [2, 4])
def test_what_is_remembered_belongs_together(size: int) -> None:
    """Half as large, each pixel is the mean of four."""
    drawn = remembered(6).draw(np.random.default_rng(0), 50, size)
    assert drawn.images.shape == (50, size, size, 3)
    numbers = [int(caption.subject.word[2:]) for caption in drawn.captions]
    assert set(numbers) == set(range(6))
    assert drawn.azimuth.tolist() == numbers
    assert drawn.elevation.tolist() == [10 * number for number in numbers]
    np.testing.assert_allclose(drawn.images.mean((1, 2, 3)), np.array(numbers) + 0.1, rtol=1e-5)
    if size == 2:
        np.testing.assert_allclose(drawn.images, np.array(numbers)[:, None, None, None] + 0.1 + 0 * drawn.images, rtol=1e-5)


class Brush:
    """A prior that draws grey, or what it is told."""

    def __init__(self, drawn: torch.Tensor | None = None) -> None:
        self.drawn, self.asked = drawn, []  # type: tuple[torch.Tensor | None, list[Any]]

    def __call__(self, folder: Path, **options: object) -> Brush:
        return self

    def draw(self, captions: list[Caption], azimuth: np.ndarray, elevation: np.ndarray, **options: object) -> torch.Tensor:
        self.asked.append((captions, options))
        return -0.5 * torch.ones(len(captions), 3, 8, 8) if self.drawn is None else self.drawn


def test_as_much_is_remembered_as_there_is_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """One for sixteen pictures at most, in [0, 1], half of them painted, and others for another seed."""
    monkeypatch.setattr(memory, "Painter", Brush())

    def of(images: int, memories: int, seed: int = 0) -> MemorySource | None:
        return remember(Path(), ["a/0", "b/0"], TrainConfig(images=images, memories=memories, seed=seed))

    found = of(16 * 300, 1000)
    assert found is not None
    assert len(found.drawn.captions) == 300
    assert found.drawn.images.shape == (300, 8, 8, 3)
    assert set(np.unique(found.drawn.images)) == {np.float32(0.25)}
    assert sum(caption.subject.color is None for caption in found.drawn.captions) / 300 == pytest.approx(0.5, abs=0.08)
    assert {caption.subject.word for caption in found.drawn.captions} == {"a/0", "b/0"}
    other = of(16 * 300, 1000, seed=1)
    assert other is not None
    assert other.drawn.captions != found.drawn.captions
    few = of(16 * 300, 20)
    assert few is not None
    assert len(few.drawn.captions) == 20
    assert of(16 * 300, 0) is None
    assert remember(Path(), [], TrainConfig()) is None


def measured(library: Library, monkeypatch: pytest.MonkeyPatch, turned: tuple[int, ...], noun_turned: int = 0) -> dict[str, float]:
    """What is found of samples that are true pictures, those of each object turned by so many quarters."""
    seed = 0
    order = np.random.default_rng(seed).permutation(len(library.entries))
    things = [library.objects[i] for i in order]
    truth = sides.pictures([*things, library.objects[0].painted("yellow")], 64)
    drawn = np.stack([np.roll(one, turn, axis=0) for one, turn in zip(truth, [*np.array(turned)[order], noun_turned], strict=True)])
    brush = Brush(torch.from_numpy(drawn.reshape(-1, 64, 64, 3)).permute(0, 3, 1, 2) * 2 - 1)
    monkeypatch.setattr(figures, "Painter", brush)
    lesson: Any = SimpleNamespace(
        mix=SimpleNamespace(sources=[LibrarySource(library)]), nouns=[("dog", library.objects[0].painted("yellow"))]
    )
    found = figures.measure(Path(), lesson, seed=seed)
    assert len(brush.asked[0][0]) == 4 * 5
    return found


def test_samples_are_right_where_the_nearest_picture_is_of_that_side(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    assert measured(library, monkeypatch, (0, 0, 0, 0)) == {"learned": 1.0, "kept": 1.0}
    assert measured(library, monkeypatch, (1, 0, 0, 0)) == {"learned": 0.75, "kept": 1.0}  # a box looks otherwise from its side
    assert measured(library, monkeypatch, (0, 0, 1, 0)) == {"learned": 1.0, "kept": 1.0}  # a post does not
    assert measured(library, monkeypatch, (0, 0, 0, 0), 1) == {"learned": 1.0, "kept": 0.0}


def test_a_sheet_has_an_object_in_a_row_and_its_rows_in_columns() -> None:
    drawn = np.arange(12, dtype=np.float32)[:, None, None, None] / 255 * np.ones((12, 2, 2, 3), np.float32)
    one, two = sides.sheet(drawn)[::2, ::2, 0], sides.sheet(drawn, columns=2)[::2, ::2, 0]
    assert one.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert two.tolist() == [[0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 128, 128, 128, 128]]


def test_words_of_a_caption() -> None:
    one, other = Thing("dog", "red"), Thing("box/0", "blue")
    assert Caption(one, "on", other).canonical("front") == "red dog on blue thing front"
    assert Caption(other).canonical() == "blue thing _ _ _ _"
    assert (Caption(one, "on", other).sketched, Caption(one).sketched, Caption(other).sketched) == (True, False, True)
