"""The judge: a library's own objects, and what is wrong in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import shelf
from df3d_prior.config import LibraryScorerConfig
from df3d_prior.library import Library
from df3d_prior.likeness import faces_met
from df3d_prior.scorer import RING, VIEWS, LibraryScorer, draw, judge, noun_rank

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


def test_what_cannot_be_judged_is_said(scorer: LibraryScorer, folder: Path) -> None:
    with pytest.raises(ConfigError, match="needs a library"):
        LibraryScorer(LibraryScorerConfig())
    with pytest.raises(PromptError, match="no prompt"):
        scorer.score(TargetSubject(Target(folder / "red_box.glb", ""), Catalog.discover()))
    with pytest.raises(PromptError, match="no object of the prompt"):
        scorer.score(TargetSubject(Target(folder / "red_box.glb", "the of"), Catalog.discover()))
