"""How hard the scorer is to please: each measure on pictures and surfaces whose score is known."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from df3d_prior.likeness import FACING, color_error, nearest_errors, silhouette_iou
from df3d_toybox import scorer as scoring
from df3d_toybox.candidates import altered, candidates, look
from df3d_toybox.captions import Caption, read
from df3d_toybox.config import ToyboxScorerConfig
from df3d_toybox.distances import distances, sample_surface
from df3d_toybox.references import (
    ELEVATION,
    FINE,
    POINTS,
    RING,
    VIEWS,
    Reference,
    build,
    drawn,
    pictures,
    reference,
    reference_pictures,
    rings,
    views,
)  # fmt: skip
from df3d_toybox.scorer import ToyboxScorer, _likeness, count_faces, janus
from df3d_toybox.world.mesh import asset_of
from df3d_toybox.world.nouns import NOUNS

from df3d.evaluation.subject import TargetSubject
from df3d.evaluation.targets import Target
from df3d.plugin.catalog import Catalog
from df3d.types import MeshAsset


def caption_of(prompt: str) -> Caption:
    caption = read(prompt).caption
    assert caption is not None
    return caption


@pytest.fixture(scope="module")
def scorer() -> ToyboxScorer:
    return ToyboxScorer(ToyboxScorerConfig(variations=1))


def retrieved(scorer: ToyboxScorer, images: np.ndarray, prompt: str) -> dict[str, float]:
    return scorer._retrieve(images, caption_of(prompt))


# ---------------------------------------------------------------------------------------------- retrieval
def test_the_nearest_of_several_proportions_counts() -> None:
    images = np.zeros((1, 2, 2, 4), np.float32)
    others = np.zeros((2, 2, 1, 2, 2, 4), np.float32)
    others[0, 0, ..., :3], others[0, 1, ..., :3] = 1.0, 0.5
    others[1, :, ..., :3] = 0.1
    others[..., 3] = 9.0  # coverage is not compared
    np.testing.assert_allclose(nearest_errors(images, others), [0.25, 0.01], rtol=1e-5)


def test_the_rank_is_how_many_are_nearer_and_none_has_a_head_start(scorer: ToyboxScorer) -> None:
    caption, looks = caption_of("a red car"), candidates((None, 0))
    own = np.array([[reference_pictures(caption, seed) for seed in (None, 0)]])
    others = looks[1][[one != look(caption) for one in looks[0]]]
    boat = reference_pictures(caption_of("a red boat"), None)
    for share in np.linspace(0.3, 0.7, 9):  # of the way from one to the other
        images = ((1 - share) * own[0, 0] + share * boat).astype(np.float32)
        distance = [((one[..., :3] - images[..., :3]) ** 2).mean(axis=(1, 2, 3, 4)).min() for one in (own[0], *others)]
        assert retrieved(scorer, images, "a red car")["rank"] == 1 + sum(d < distance[0] for d in distance[1:])


def test_ranks_and_shares_say_the_same(scorer: ToyboxScorer) -> None:
    ranks = []
    for prompt in ("a red car", "a dog", "a table", "a tree", "a mug", "a house", "a peacock"):
        found = retrieved(scorer, reference_pictures(caption_of("a grey chair"), None), prompt)
        assert found["top1"] == float(found["rank"] == 1)
        assert found["top5"] == float(found["rank"] <= 5)
        ranks.append(found["rank"])
    assert any(5 < rank <= 50 for rank in ranks), ranks
    assert retrieved(scorer, reference_pictures(caption_of("a grey chair"), 0), "a grey chair")["rank"] == 1


@pytest.mark.parametrize(("nearer", "rank", "top5"), [(0, 1, 1.0), (4, 5, 1.0), (5, 6, 0.0)])
def test_the_fifth_is_the_last_of_the_first_five(monkeypatch: pytest.MonkeyPatch, nearer: int, rank: int, top5: float) -> None:
    judge = ToyboxScorer(ToyboxScorerConfig(variations=0))
    images = np.full((VIEWS, 32, 32, 4), 0.5, np.float32)
    pool = np.full((8, 1, VIEWS, 32, 32, 4), 0.9, np.float32)
    pool[:nearer] = 0.6
    monkeypatch.setattr(scoring, "reference", lambda caption, seed: SimpleNamespace(images=images + 0.2))
    monkeypatch.setattr(scoring, "candidates", lambda seeds: ([look(caption_of("a dog"))] * 8, pool))
    found = retrieved(judge, images, "a red car")
    assert (found["rank"], found["top1"], found["top5"]) == (rank, float(rank == 1), top5)


def test_there_are_candidates_of_every_noun_in_several_colours_and_relations() -> None:
    looks, pool = candidates((None,))
    assert len(looks) == len(set(looks)) == len(pool) > 100
    nouns = Counter(subject.split(" ", 1)[1] for subject, _ in looks)
    assert len(nouns) == 28
    assert min(nouns.values()) >= 4
    assert sum("wearing" in rest for _, rest in looks) >= 10
    assert sum("on " in rest for _, rest in looks) >= 20


def test_what_is_altered_is_one_thing() -> None:
    names, pool = altered(caption_of("a red dog on a blue table"), (None,))
    assert Counter(names) == {"colour": 20, "shape": 27, "parts": 2, "facing": 3}
    assert pool.shape == (52, 1, VIEWS, 32, 32, 4)
    assert "facing" not in altered(caption_of("a tree"), (None,))[0]
    assert Counter(altered(caption_of("a cat"), (None,))[0])["parts"] == 1  # a hat
    own = reference_pictures(caption_of("a red dog on a blue table"), None)
    assert not any(np.array_equal(own, other[0]) for other in pool)


def test_of_another_shape_in_the_colour_that_the_noun_has_of_itself() -> None:
    """A dog is brown: what is altered in "a dog" is a brown cat, and no cat in its own orange."""
    _, pool = altered(caption_of("a dog"), (None,))

    def held(prompt: str) -> bool:
        return any(np.array_equal(reference_pictures(caption_of(prompt), None), other[0]) for other in pool)

    assert held(f"a {NOUNS['dog'].natural} cat")
    assert not held("a cat")


@pytest.mark.parametrize("prompt", ["a red dog", "a blue mug on a brown table"])
@pytest.mark.parametrize("wrong", ["a green dog", "a red cat", "a blue mug", "a blue mug on a red table", "a red dog on a table"])
def test_one_thing_wrong_is_not_exact(scorer: ToyboxScorer, prompt: str, wrong: str) -> None:
    right = retrieved(scorer, pictures(build(caption_of(prompt), 77), VIEWS), prompt)
    assert (right["exact"], right.get("facing", 1)) == (1, 1)
    assert retrieved(scorer, pictures(build(caption_of(wrong), 77), VIEWS), prompt)["exact"] == 0


@pytest.mark.parametrize("turn", [2, 4, 6])
def test_an_object_that_faces_elsewhere_is_found_and_not_exact(scorer: ToyboxScorer, turn: int) -> None:
    for prompt in ("a brown dog", "a red car", "a robot"):
        own = pictures(build(caption_of(prompt), 77), VIEWS)
        found = retrieved(scorer, np.roll(own, turn, axis=0), prompt)
        assert (found["facing"], found["exact"]) == (0, 0)
        assert retrieved(scorer, np.repeat(own[:1], VIEWS, axis=0), prompt)["facing"] == 0  # its front on all sides


# ---------------------------------------------------------------------------------------------- likeness
def test_likenesses_of_known_pictures() -> None:
    a = np.zeros((2, 4, 4, 4))
    a[:, :2, :, 3] = 1
    b = np.zeros((2, 4, 4, 4))
    b[:, 1:3, :, 3] = 1
    assert silhouette_iou(a[..., 3], b[..., 3]) == pytest.approx(1 / 3)
    assert silhouette_iou(a[..., 3], 0.5 * a[..., 3]) == pytest.approx(0.5)
    b[..., :3] = (0.1, 0.2, 0.6)
    assert color_error(a, b) == pytest.approx(0.3)
    b[..., 3] = 0
    assert color_error(a, b) == 1


def test_the_nearest_reference_counts_in_every_measure(scorer: ToyboxScorer) -> None:
    """An object with the proportions of one of the references scores as that one, whatever the other is like."""
    catalog = Catalog.discover()
    for seed in (None, 0):
        subject = TargetSubject(Target(Path(), "a giraffe-like horse"), catalog, asset=asset_of(build(caption_of("a horse"), seed)))
        found = scorer.score(subject)
        assert found["iou"] > 0.97
        assert found["iou_fine"] > 0.97
        assert found["chamfer"] < 0.02
        assert found["f_score"] > 0.99
        assert found["normals"] > 0.9
        assert found["color_error"] < 0.03


def test_the_worlds_view_is_that_of_the_page() -> None:
    assert (VIEWS, RING, ELEVATION, FINE, POINTS, FACING) == (8, 24, 15.0, 128, 4096, 45.0)
    assert ToyboxScorerConfig() == ToyboxScorerConfig(variations=4, within=0.05)
    ring = views(VIEWS)
    assert ring.elevation.tolist() == [15.0] * 8
    assert ring.azimuth.tolist() == [0, 45, 90, 135, -180, -135, -90, -45]
    assert reference(caption_of("a mug"), None).silhouettes.shape == (8, 128, 128)


# ---------------------------------------------------------------------------------------------- truth
@pytest.mark.parametrize("prompt", ["a dog", "a mug", "a robot on a car"])
def test_the_worlds_meshes_are_closed_and_have_nothing_inside(prompt: str) -> None:
    parts = build(caption_of(prompt), None)
    asset = asset_of(parts)
    sides = np.sort(np.concatenate([asset.mesh.faces[:, [0, 1]], asset.mesh.faces[:, [1, 2]], asset.mesh.faces[:, [2, 0]]]), axis=1)
    welded = np.unique(asset.mesh.vertices.round(5), axis=0, return_inverse=True)[1].reshape(-1)
    assert (np.unique(np.sort(welded[sides], axis=1), axis=0, return_counts=True)[1] % 2 == 0).all()
    points = sample_surface(asset.mesh, 3000).points
    inside = [sum(bool(solid.contains(p[None] * 0.995)[0]) for solid in parts) for p in points[:300]]
    assert np.mean([count >= 2 for count in inside]) < 0.35
    deep = np.zeros(len(points), bool)
    for solid in parts:
        centre = solid.center
        deep |= solid.contains(centre + (points - centre) * 1.05)  # well below the surface of a solid
    assert deep.mean() < 0.02
    picture, again = (
        drawn(parts, views(2)),
        TargetSubject(Target(Path(), prompt), Catalog.discover(), asset=asset).draw(views(2), background=0.5, ambient=0.5),
    )
    assert silhouette_iou(picture[..., 3], again.numpy()[..., 3]) > 0.97


def test_one_face_is_nearer_to_one_face() -> None:
    caption = caption_of("a dog")
    ring = pictures(build(caption, 50), RING)
    assert janus(ring, caption) < 0.4
    assert count_faces(ring, caption) == 1
    half = np.concatenate([ring[:6], ring[18:][::-1][:6][::-1], ring[:6], ring[18:]])  # the front half, twice
    assert count_faces(half, caption) == 2
    assert janus(half, caption) > 0.45


def test_distances_are_to_the_nearest_of_the_references(scorer: ToyboxScorer) -> None:
    caption = caption_of("a dog")
    subject = TargetSubject(Target(Path(), "a dog"), Catalog.discover(), asset=asset_of(build(caption, 0)))
    found, fitted = scorer.score(subject), subject.fitted
    assert isinstance(fitted, MeshAsset)
    told = [distances(sample_surface(fitted.mesh, POINTS), reference(caption, seed).surface, 0.05) for seed in (None, 0)]
    assert found["chamfer"] == min(d.chamfer for d in told) < max(d.chamfer for d in told)
    assert found["f_score"] == max(d.f_score for d in told)
    assert found["normals"] == max(d.normals for d in told)


def test_rings_show_four_objects_and_each_with_two_and_three_faces() -> None:
    one, several = rings(caption_of("a cat"))
    assert one.shape == (4, RING, 32, 32, 4)
    assert several.shape == (16, RING, 32, 32, 4)
    assert len({ring.tobytes() for ring in (*one, *several)}) == 20


def test_the_colour_is_compared_with_the_proportions_that_are_nearest() -> None:
    """Of a thin and a thick object of one colour, the picture of the thin one has no error beside the thin one."""
    thin, thick = (np.zeros((VIEWS, 32, 32, 4), np.float32) for _ in range(2))
    thin[:, 8:24, 14:18], thick[:, 8:24, 4:28] = (1, 0, 0, 1), (0, 0, 1, 1)
    fine = np.zeros((VIEWS, FINE, FINE), np.float32)
    surface = reference(caption_of("a red car"), None).surface
    others = [Reference(images, fine, surface) for images in (thick, thin)]
    assert _likeness(thin, fine, others)["color_error"] == 0.0
    assert _likeness(thick, fine, others)["color_error"] == 0.0
    assert color_error(thin, thick) > 0.1
