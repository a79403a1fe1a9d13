"""The judge: a library's own objects, and what is wrong in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shelf
from df3d_prior.config import LibraryScorerConfig
from df3d_prior.faces import SEVERAL
from df3d_prior.library import Library
from df3d_prior.likeness import color_error, faces_met, silhouette_iou
from df3d_prior.objects import Object
from df3d_prior.scorer import MOST_KEPT, RING, VIEWS, Candidates, LibraryScorer, draw, judge, noun_rank

from df3d.errors import ConfigError, PromptError
from df3d.evaluation.subject import TargetSubject
from df3d.evaluation.targets import Target
from df3d.plugin.catalog import Catalog


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return shelf.make(tmp_path_factory.mktemp("library"))


@pytest.fixture(scope="module")
def scorer(folder: Path) -> LibraryScorer:
    return LibraryScorer(LibraryScorerConfig(folder=str(folder)))


def judged(scorer: LibraryScorer, prompt: str, images: np.ndarray, ring: np.ndarray | None = None) -> dict[str, float]:
    reading = scorer.index.read(prompt)
    return judge(images, np.repeat(images, RING // VIEWS, axis=0) if ring is None else ring, reading, scorer.candidates(reading))


def pictures(library: Library, noun: str, count: int = VIEWS) -> np.ndarray:
    one = next(o for entry, o in zip(library.entries, library.objects, strict=True) if entry.noun == noun)
    return draw([one], count)[0]


@pytest.mark.parametrize(("file", "noun"), [(file, noun) for file, noun, *_ in shelf.OBJECTS])
def test_each_object_is_recognised_from_its_file(scorer: LibraryScorer, folder: Path, file: str, noun: str) -> None:
    found = scorer.score(TargetSubject(Target(folder / file, f"a {noun}"), Catalog.discover()))
    assert (found["rank"], found["top1"], found["top5"]) == (1.0, 1.0, 1.0)
    assert found["iou"] > 0.9
    assert found["color_error"] < 0.08  # a file's corners are shaded smoothly, the library's faces flat
    assert "top1_others" not in found  # the noun has no other object


def test_another_object_is_not_recognised(scorer: LibraryScorer) -> None:
    found = judged(scorer, "a post", pictures(scorer.library, "table"))
    assert found["top1"] == 0
    assert found["rank"] > 1
    assert found["iou"] < 0.6


def test_colour_alone_finds_no_noun(scorer: LibraryScorer) -> None:
    """A red ball asked for as `a red ball`: the box is the only red thing of the library, and is not taken for it."""
    ball = next(o for entry, o in zip(scorer.library.entries, scorer.library.objects, strict=True) if entry.noun == "ball")
    found = judged(scorer, "a red ball", draw([ball.painted("red")], VIEWS)[0])
    assert found["top1"] == 1
    assert found["color_error"] < 0.02
    assert judged(scorer, "a red ball", draw([ball], VIEWS)[0])["color_error"] > 0.1


def test_a_thing_on_another_is_held_against_the_same_put_together(scorer: LibraryScorer) -> None:
    from df3d_prior import objects

    things = {entry.noun: one for entry, one in zip(scorer.library.entries, scorer.library.objects, strict=True)}
    both = draw([objects.joined("on", things["ball"], things["table"])], VIEWS)[0]
    assert judged(scorer, "a ball on a table", both)["top1"] == 1
    assert judged(scorer, "a post on a table", both)["top1"] == 0


def test_ranks_count_nouns_and_not_objects() -> None:
    nouns = np.array(["a", "b", "b", "c", "a"])
    assert noun_rank(np.array([0.5, 0.1, 0.2, 0.7, 0.3]), nouns, "a") == 2
    assert noun_rank(np.array([0.5, 0.1, 0.2, 0.7, 0.3]), nouns, "b") == 1
    assert noun_rank(np.array([0.5, 0.1, 0.2, 0.7, 0.3]), nouns, "c") == 3


def test_turned_objects_and_second_faces_are_counted(scorer: LibraryScorer, tmp_path: Path) -> None:
    """A box with a white front: turned it does not face forward, and with a second white side it has two faces."""
    import trimesh

    def box(white: list[int]) -> trimesh.Trimesh:
        mesh = trimesh.creation.box((1, 1, 1))
        mesh.unmerge_vertices()
        colors = np.tile((180, 30, 25, 255), (len(mesh.faces), 1))
        for axis in white:
            colors[np.abs(mesh.face_normals - np.eye(3)[2] * axis).sum(1) < 0.1] = 255
        mesh.visual.vertex_colors = np.repeat(colors, 3, axis=0)
        return mesh

    box([1]).export(tmp_path / "one.glb")
    box([1, -1]).export(tmp_path / "two.glb")
    (tmp_path / "captions.csv").write_text("path,noun,caption\none.glb,oven,a red oven\n")
    judge_of = LibraryScorer(LibraryScorerConfig(folder=str(tmp_path)))
    (one,) = judge_of.library.objects
    straight, ring = draw([one], VIEWS)[0], draw([one], RING)[0]
    assert judged(judge_of, "an oven", straight, ring)["facing"] == 1
    assert judged(judge_of, "an oven", straight, ring)["faces"] == 1
    assert judged(judge_of, "an oven", np.roll(straight, 4, axis=0), np.roll(ring, 12, axis=0))["facing"] == 0
    assert faces_met(np.concatenate([ring[:12], ring[:12]]), ring[None]) == 2
    both = np.concatenate([ring[:12], ring[:12]])
    assert judged(judge_of, "an oven", straight, ring)["janus"] == pytest.approx(0.0, abs=1e-6)
    assert judged(judge_of, "an oven", straight, both)["janus"] > SEVERAL


def test_what_cannot_be_judged_is_said(scorer: LibraryScorer, folder: Path) -> None:
    with pytest.raises(ConfigError, match="needs a library"):
        LibraryScorer(LibraryScorerConfig())
    with pytest.raises(PromptError, match="no prompt"):
        scorer.score(TargetSubject(Target(folder / "red_box.glb", ""), Catalog.discover()))
    with pytest.raises(PromptError, match="no object of the prompt"):
        scorer.score(TargetSubject(Target(folder / "red_box.glb", "the of"), Catalog.discover()))


def ring_of(seen: list[int]) -> float:
    """Faces met by somebody who sees these of 24 sides of an object one after the other; each side is a picture of its own."""
    sides = np.zeros((RING, 1, RING, 4), np.float32)
    sides[np.arange(RING), 0, np.arange(RING), :3] = 1.0
    blank = np.full_like(sides, 0.5)
    return faces_met(sides[seen], np.stack([blank, sides]))


def test_faces_are_runs_of_views_that_show_the_front() -> None:
    """The front is seen within 45 degrees, which is three of 24 sides to the left and three to the right."""
    front, back = [0] * 2, [12]
    assert ring_of(list(range(RING))) == 1
    assert ring_of(front + back * 22) == 1
    assert ring_of([0] + back * 23) == 0  # one view alone is none
    assert ring_of([0, 0, 12, 0, 0] + back * 19) == 1  # and parts none
    assert ring_of(front + back * 10 + front + back * 10) == 2
    assert ring_of([3, 3] + back * 22) == 1
    assert ring_of([4, 4] + back * 22) == 0
    assert ring_of([21, 21] + back * 22) == 1
    assert ring_of([0] * RING) == 4  # all around: each has a quarter of the way
    assert ring_of([0] * 12 + back * 12) == 2


def test_likenesses_by_hand() -> None:
    one, other = np.zeros((2, 2, 2), np.float32), np.zeros((2, 2, 2), np.float32)
    one[0], other[0, 0] = 1.0, 1.0  # half of it in the one view, and in the other nothing of either
    assert silhouette_iou(one, other) == 0.25
    a, b = np.zeros((1, 2, 2, 4), np.float32), np.zeros((1, 2, 2, 4), np.float32)
    a[..., :3], b[..., :3] = 0.75, 0.25
    a[0, 0, :, 3], b[0, 1, :, 3] = 1.0, 1.0
    assert color_error(a, b) == 1.0  # seen nowhere together
    b[0, 0, :, 3] = 1.0
    assert color_error(a, b) == 0.5


def test_an_equal_error_takes_no_place() -> None:
    assert noun_rank(np.array([0.2, 0.2, 0.1]), np.array(["a", "b", "c"]), "a") == 2


def synthetic(scorer: LibraryScorer, errors: list[tuple[str, str, float]]) -> dict[str, float]:
    """What is measured of a black asset among candidates of a noun, a group and a grey each."""
    pictures = np.stack([np.full((VIEWS, 4, 4, 4), grey, np.float32) for *_, grey in errors])
    candidates = Candidates(lambda i: scorer.library.objects[1], *(np.array([row[i] for row in errors]) for i in (0, 1)), pictures)
    reading = scorer.index.read("a ball")
    return judge(np.zeros((VIEWS, 4, 4, 4), np.float32), np.zeros((RING, 32, 32, 4), np.float32), reading, candidates)


def test_the_first_five_are_five(scorer: LibraryScorer) -> None:
    others = [(noun, noun, 0.1 + 0.01 * i) for i, noun in enumerate("abcde")]
    for nearer, top5 in ((4, 1.0), (5, 0.0)):
        found = synthetic(scorer, [*others[:nearer], ("ball", "x", 0.5)])
        assert (found["rank"], found["top1"], found["top5"]) == (nearer + 1, 0.0, top5)
        assert "top1_others" not in found


def test_without_the_nearest_object_its_variants_do_not_count_either(scorer: LibraryScorer) -> None:
    rows = [("ball", "one", 0.1), ("ball", "one", 0.15), ("ball", "two", 0.4), ("a", "a", 0.2), ("b", "b", 0.3)]
    found = synthetic(scorer, rows)
    assert (found["rank"], found["top1_others"], found["top5_others"]) == (1.0, 0.0, 1.0)
    assert synthetic(scorer, [*rows[:2], *rows[3:]]).keys() == found.keys() - {"top1_others", "top5_others"}


def test_what_looks_alike_from_its_sides_has_no_front(scorer: LibraryScorer) -> None:
    for noun in ("ball", "post", "table"):  # a table is as it is from behind
        assert {"facing", "faces"}.isdisjoint(judged(scorer, f"a {noun}", pictures(scorer.library, noun)))


def test_pictures_of_few_colours_are_kept(scorer: LibraryScorer) -> None:
    """Those of another colour take the place of the oldest."""
    first, *others = (f"a {color} ball" for color in ("red", "blue", "green", "yellow", "pink"))
    assert len(others) == MOST_KEPT
    found = scorer.candidates(scorer.index.read(first))
    assert scorer.candidates(scorer.index.read(first)) is found
    for prompt in others:
        scorer.candidates(scorer.index.read(prompt))
    again = scorer.candidates(scorer.index.read(first))
    assert again is not found
    np.testing.assert_array_equal(again.pictures, found.pictures)


def test_what_a_prompt_is_looked_up_among(scorer: LibraryScorer) -> None:
    """All objects in the colour that is named, be it the object's own; and beside, on or under the second thing."""

    def found(prompt: str) -> list[Object]:
        return [scorer.candidates(scorer.index.read(prompt)).object_at(i) for i in range(4)]

    def main_colors(prompt: str) -> list[str]:
        return [one.main_colors[0] for one in found(prompt)]

    assert main_colors("a box") == ["red", "blue", "green", "brown"]
    assert main_colors("a red box") == ["red"] * 4
    assert main_colors("a yellow box") == ["yellow"] * 4
    assert main_colors("a box") == ["red", "blue", "green", "brown"]
    both = found("a ball on a yellow table")
    assert all({"yellow"} <= set(one.main_colors) for one in both)
    assert [len(one.corners) for one in both] == [12 + 12, 320 + 12, 12 + 12, 12 + 12]
    assert [len(one.corners) for one in found("a ball")] == [12, 320, 12, 12]
    assert [len(one.corners) for one in found("two balls")] == [24, 640, 24, 24]


def test_an_object_that_is_turned_by_a_quarter_faces_elsewhere(tmp_path: Path) -> None:
    import trimesh

    mesh = trimesh.creation.box((1, 1, 1))
    mesh.unmerge_vertices()
    colors = np.tile((180, 30, 25, 255), (len(mesh.faces), 1))
    colors[mesh.face_normals[:, 2] > 0.9] = 255
    mesh.visual.vertex_colors = np.repeat(colors, 3, axis=0)
    mesh.export(tmp_path / "one.glb")
    (tmp_path / "captions.csv").write_text("path,noun,caption\none.glb,oven,a red oven\n")
    judge_of = LibraryScorer(LibraryScorerConfig(folder=str(tmp_path)))
    straight = draw(list(judge_of.library.objects), VIEWS)[0]
    for turn, facing in ((0, 1.0), (2, 0.0), (4, 0.0), (-2, 0.0)):
        assert judged(judge_of, "an oven", np.roll(straight, turn, axis=0))["facing"] == facing
