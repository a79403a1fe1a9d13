"""The world: pictures against an independent ray caster, meshes against the solids, fronts that differ from backs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh
from df3d_toybox.captions import COLOR_NAMES, NOUN_NAMES, RELATIONS, Caption, Thing, read
from df3d_toybox.world import nouns, render, scene
from df3d_toybox.world.faces import with_faces
from df3d_toybox.world.shapes import BLOCK, DOME, ELLIPSOID, FRUSTUM, Parts, Solid
from scipy.spatial.transform import Rotation

from df3d.scene.cameras import orbit, rays
from df3d.types import Cameras


def caption(text: str) -> Caption:
    found = read(text).caption
    assert found is not None
    return found


def draw(solids: list[Solid], cameras: Cameras, size: int = 64) -> np.ndarray:
    return render.render([render.pack(solids)] * len(cameras), cameras.pose.numpy(), size=size)


def test_the_words_of_the_grammar_are_the_things_of_the_world() -> None:
    assert set(nouns.NOUNS) == set(NOUN_NAMES)
    assert set(nouns.COLORS) == set(COLOR_NAMES)
    assert sum(noun.front for noun in nouns.NOUNS.values()) > len(NOUN_NAMES) / 2


@pytest.mark.parametrize("kind", [ELLIPSOID, DOME, FRUSTUM, BLOCK])
@pytest.mark.parametrize("taper", [(1.0, 1.0), (0.4, 0.7), (0.0, 0.0)])
def test_a_picture_of_a_solid_agrees_with_its_mesh_and_its_inside(kind: int, taper: tuple[float, float]) -> None:
    """Coverage and depth-free normals against trimesh casting rays at the mesh; the mesh's inside against `contains`."""
    rng = np.random.default_rng(kind)
    axes = np.linalg.qr(rng.normal(size=(3, 3)))[0] * (0.5, 0.35, 0.4)
    solid = Solid(kind, np.array([0.1, -0.05, 0.2]), axes, (1.0, 1.0, 1.0), taper if kind == BLOCK else (taper[0], taper[0]))
    vertices, faces = solid.mesh(segments=96)
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    mesh.merge_vertices()
    assert mesh.volume > 0
    points = rng.uniform(-0.9, 0.9, (4000, 3))
    inside = solid.contains(points)
    near = np.abs(trimesh.proximity.signed_distance(mesh, points[:400])) < 0.02
    assert (mesh.contains(points[:400]) == inside[:400])[~near].all()

    views = orbit(3, elevation=25.0, fov_y=render.FOV_Y, size=24)
    images = render.render([render.pack([solid])] * 3, views.pose.numpy(), size=24, samples=1)
    origins, directions = (t.reshape(-1, 3).numpy().astype(np.float64) for t in rays(views))
    _hit, ray, triangle = mesh.ray.intersects_location(origins, directions, multiple_hits=False)
    truth = np.zeros(len(origins), bool)
    truth[ray] = True
    drawn = images[..., 3].reshape(-1) > 0.5
    assert (truth != drawn).sum() <= 0.02 * len(truth)
    assert drawn.sum() > 100
    facing = np.zeros(len(origins))
    facing[ray] = -(mesh.face_normals[triangle] * directions[ray]).sum(1)
    shade = images[..., 0].reshape(-1)
    both = truth & drawn
    expected = render.AMBIENT + render.DIFFUSE * np.clip(facing, 0, None)
    assert np.abs(shade - expected)[both].mean() < 0.02


def test_both_of_a_pair_are_each_others_mirror_image() -> None:
    parts, red = Parts(), (1.0, 0.0, 0.0)
    parts.pair(parts.tube, (0.2, 0.1, 0.0), (0.8, 0.5, 0.2), 0.2, red, 0.05)
    parts.pair(parts.block, (0.4, 0.0, 0.0), (0.2, 0.5, 0.3), red, taper=(0.5, 0.8), turn=(10, 20, 30))
    points = np.random.default_rng(0).uniform(-1, 1, (5000, 3))
    for right, left in (parts[:2], parts[2:]):
        inside = right.contains(points)
        assert inside.sum() > 20
        assert (left.contains(points * (-1, 1, 1)) == inside).all()


def test_the_nearer_solid_hides_the_farther() -> None:
    parts = Parts()
    parts.ball((0, 0, 0.4), 0.3, (1.0, 0.0, 0.0))
    parts.ball((0, 0, -0.4), 0.3, (0.0, 1.0, 0.0))
    front, back = draw(parts, orbit(2, elevation=0.0, fov_y=render.FOV_Y, size=64))
    assert front[32, 32, 0] > 0.9
    assert front[32, 32, 1] < 0.1
    assert back[32, 32, 1] > 0.9


@pytest.mark.parametrize("noun", NOUN_NAMES)
def test_every_noun_fits_and_a_front_is_not_a_back(noun: str) -> None:
    for rng in (None, np.random.default_rng(1)):
        parts = scene.build(Caption(Thing(noun)), rng)
        low, high = parts.bounds()
        assert np.abs(low + high).max() < 0.02
        reach = max(np.linalg.norm(solid.corners(), axis=1).max() for solid in parts)
        assert reach == pytest.approx(scene.RADIUS, abs=0.02)
    front, _, back, _ = draw(scene.build(Caption(Thing(noun))), orbit(4, elevation=15.0, fov_y=render.FOV_Y, size=64))
    assert front[..., 3].mean() > 0.02
    if nouns.NOUNS[noun].front:
        assert np.abs(front - back[:, ::-1])[..., :3].max(-1).mean() > 0.004


def test_a_colour_shows() -> None:
    views = orbit(2, fov_y=render.FOV_Y, size=64)
    for noun in NOUN_NAMES:
        red, blue = (draw(scene.build(Caption(Thing(noun, color))), views)[..., :3].mean((0, 1, 2)) for color in ("red", "blue"))
        assert red[0] - blue[0] > 0.01, noun
        assert blue[2] - red[2] > 0.01, noun


def test_relations_put_things_where_they_belong() -> None:
    def heights(text: str, color: str) -> tuple[float, float]:
        parts = scene.build(caption(text))
        own = [s for s in parts if np.allclose(s.color, nouns.COLORS[color])]
        ys = np.concatenate([solid.corners()[:, 1] for solid in own])
        return float(ys.min()), float(ys.max())

    assert set(RELATIONS) == {"on", "wearing"}
    assert heights("a red dog on a blue table", "red")[0] > heights("a red dog on a blue table", "blue")[1] - 0.1
    hat_low, hat_high = heights("a green dog wearing a purple hat", "purple")
    assert hat_high > heights("a green dog wearing a purple hat", "green")[1]
    assert hat_low > 0


def test_proportions_vary_with_the_generator_alone() -> None:
    first, again, other = (scene.build(caption("a dog"), np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert all(np.array_equal(a.axes, b.axes) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a.axes, b.axes) for a, b in zip(first, other, strict=True))


def test_random_captions_cover_the_world_and_read_as_themselves() -> None:
    rng = np.random.default_rng(0)
    captions = [scene.sample_caption(rng) for _ in range(3000)]
    assert {c.subject.noun for c in captions} == set(NOUN_NAMES)
    assert {c.relation for c in captions} == {None, *RELATIONS}
    assert all(read(str(c)).caption == c for c in captions)


def test_pictures_match_the_cameras_of_df3d() -> None:
    """The world's renderer and `df3d.cameras.rays` see a small ball at the same pixel."""
    parts = Parts()
    parts.ball((0.3, 0.5, 0.1), 0.06, (1.0, 0.0, 0.0))
    views = orbit(3, elevation=30.0, fov_y=render.FOV_Y, size=65)
    images = draw(parts, views, size=65)
    origins, directions = rays(views)
    towards = torch.tensor([0.3, 0.5, 0.1]) - origins[:, 0, 0]
    closeness = (directions * torch.nn.functional.normalize(towards, dim=-1)[:, None, None]).sum(-1)
    for image, near in zip(images, closeness, strict=True):
        rows, columns = np.nonzero(image[..., 3] > 0.5)
        best = np.unravel_index(int(near.argmax()), near.shape)
        assert abs(rows.mean() - best[0]) < 1
        assert abs(columns.mean() - best[1]) < 1


def test_a_hat_is_pulled_over_the_head_and_fits_it() -> None:
    """Its brim lies an eighth of the head's radius below the place that the wearer names, and is half as wide again."""
    wearer, hat = Parts(), Parts()
    wearer.ball((0, 0, 0), (1, 1, 1), (1, 1, 1))
    wearer.head = (0.1, 0.9, 0.2, 0.5)
    hat.block((3, 5, 0), (2, 1, 1), (1, 0, 0))
    (found,) = scene._wear(wearer, hat)[1:]
    low, high = found.corners().min(0), found.corners().max(0)
    assert low[1] == pytest.approx(0.9 - 0.12 * 0.5)
    np.testing.assert_allclose((low + high)[[0, 2]] / 2, (0.1, 0.2), atol=1e-6)
    assert (high - low)[0] == pytest.approx(2 * 1.55 * 0.5, rel=0.01)


def test_a_second_face_is_the_first_turned_around() -> None:
    parts = scene.build(caption("a dog"))
    both = with_faces(parts, 2, whole=True)
    front = [solid for solid in parts if solid.center[2] > -0.02]
    copies = both[len(parts) :]
    assert len(copies) == len(front)
    for solid, copy in zip(front, copies, strict=True):
        np.testing.assert_allclose(copy.corners(), solid.corners() * (-1, 1, -1), atol=1e-9)
    third = with_faces(parts, 3)[len(front) : 2 * len(front)]
    for solid, copy in zip(front, third, strict=True):
        x, y, z = solid.corners().T
        turned = np.stack([-0.5 * x + 0.75**0.5 * z, y, -(0.75**0.5) * x - 0.5 * z], axis=1)
        np.testing.assert_allclose(copy.corners(), turned, atol=1e-9)


# ---------------------------------------------------------------------------------------------- solids
def turned(x: float, y: float, z: float) -> np.ndarray:
    """By degrees about x, then y, then z, as scipy has it."""
    return Rotation.from_euler("xyz", (x, y, z), degrees=True).as_matrix()


def test_a_part_is_turned_about_x_then_y_then_z_and_then_moved() -> None:
    parts = Parts()
    parts.block((0.1, 0.2, 0.3), (0.3, 0.2, 0.1), (1, 0, 0), turn=(20, 30, 40))
    np.testing.assert_allclose(parts[0].axes, turned(20, 30, 40) @ np.diag((0.3, 0.2, 0.1)), atol=1e-12)
    parts.ball((0, 0, 0), 0.5, (1, 0, 0))
    np.testing.assert_allclose(parts[1].axes, 0.5 * np.eye(3), atol=1e-12)
    parts.dome((0, 0, 0), (0.1, 0.2, 0.3), (1, 0, 0), turn=(0, 0, 90))
    np.testing.assert_allclose(parts[2].axes @ (0, 1, 0), (-0.2, 0, 0), atol=1e-12)


@pytest.mark.parametrize("end", [(0.0, 1.0, 0.0), (0.3, 0.4, 0.5), (0.0, 0.0, 2.0), (-1.0, 0.0, 0.0)])
def test_a_tube_goes_from_its_start_to_its_end(end: tuple[float, float, float]) -> None:
    parts = Parts()
    parts.tube((0.1, 0.0, 0.0), end, 0.2, (1, 0, 0), 0.05)
    (tube,) = parts
    start, stop = np.array((0.1, 0.0, 0.0)), np.array(end)
    assert tube.taper == (0.25, 0.25)
    np.testing.assert_allclose(tube.center, (start + stop) / 2)
    np.testing.assert_allclose(tube.center - tube.axes[:, 1], start, atol=1e-12)
    np.testing.assert_allclose(tube.axes.T @ tube.axes, np.diag((0.04, (stop - start) @ (stop - start) / 4, 0.04)), atol=1e-12)
    assert np.linalg.det(tube.axes) > 0
    along = (stop - start) / np.linalg.norm(stop - start)
    side = np.cross(along, (0.3, 0.7, -0.2))
    side /= np.linalg.norm(side)
    near_start, near_end = start + 0.01 * along, stop - 0.01 * along
    assert tube.contains(np.array([near_start + 0.19 * side, near_start + 0.21 * side])).tolist() == [True, False]
    assert tube.contains(np.array([near_end + 0.045 * side, near_end + 0.07 * side])).tolist() == [True, False]
    parts.tube((0, 0, 0), end, 0.2, (1, 0, 0))
    assert parts[1].taper == (1.0, 1.0)


def test_what_is_moved_takes_its_head_and_its_seat_along() -> None:
    parts = Parts()
    parts.ball((1, 0, 0), 0.5, (1, 0, 0))
    parts.head, parts.seat = (0.1, 0.2, 0.3, 0.4), (0.5, 0.6, 0.7, 0.8, 0.9)
    found = parts.moved(2.0, (1, 2, 3))
    assert found[0].center.tolist() == [3, 2, 3]
    assert found.head == pytest.approx((1.2, 2.4, 3.6, 0.8))
    assert found.seat == pytest.approx((2.0, 3.2, 4.4, 1.6, 1.8))
    assert parts[0].center.tolist() == [1, 0, 0]
    assert Parts(parts).moved(2.0, (0, 0, 0)).head is None


@pytest.mark.parametrize("kind", [ELLIPSOID, DOME, FRUSTUM, BLOCK])
def test_the_box_of_a_solid_is_that_of_its_mesh(kind: int) -> None:
    taper = (1.4, 1.4 if kind == FRUSTUM else 0.6)
    solid = Solid(kind, np.array((0.1, 0.2, 0.3)), turned(20, 30, 40) * (0.3, 0.5, 0.2), (1, 0, 0), taper)
    vertices, _ = solid.mesh(96)
    low, high = Parts([solid]).bounds()
    np.testing.assert_allclose(low, vertices.min(0), atol=0.02)
    np.testing.assert_allclose(high, vertices.max(0), atol=0.02)


def test_a_pixel_is_the_mean_of_its_points_over_a_plain_grey() -> None:
    """A wall whose edge goes through the middle of the picture: at 45 degrees of view it covers half of an odd middle column."""
    parts = Parts()
    parts.block((0.5, 0, 0), (0.5, 2, 0.001), (1.0, 1.0, 1.0))
    pose = orbit(1, elevation=0.0, distance=3.0, size=5).pose.numpy()
    (image,) = render.render([render.pack(parts)], pose, size=5, samples=2, fov_y=45.0)
    assert image[2, 2, 3] == 0.5
    np.testing.assert_allclose(image[2, 0, :3], render.BACKGROUND, atol=1e-6)
    lit = image[2, 3, 0]
    np.testing.assert_allclose(image[2, 2, 0], (lit + render.BACKGROUND) / 2, atol=0.02)
    assert image.dtype == np.float32


# ---------------------------------------------------------------------------------------------- scenes
def test_captions_are_drawn_in_these_shares() -> None:
    rng, count = np.random.default_rng(0), 20_000
    drawn = [scene.sample_caption(rng) for _ in range(count)]
    share = {relation: sum(c.relation == relation for c in drawn) / count for relation in (None, "on", "wearing")}
    assert share == pytest.approx({None: 0.5, "on": 0.4, "wearing": 0.1}, abs=0.015)
    assert sum(c.subject.color is None for c in drawn) / count == pytest.approx(0.35, abs=0.015)
    standing = [c for c in drawn if c.relation == "on"]
    rest = 0.15 * len(scene.SUPPORTS) / len(NOUN_NAMES)  # of any noun, one that is a support
    assert sum(c.other.noun in scene.SUPPORTS for c in standing) / len(standing) == pytest.approx(0.85 + rest, abs=0.02)
    assert {c.other.noun for c in standing} == set(NOUN_NAMES)
    hats = [c for c in drawn if c.relation == "wearing"]
    assert {c.other.noun for c in hats} == {"hat"}
    assert {c.subject.noun for c in hats} == set(scene.WEARERS)


def test_what_has_a_head_wears_a_hat_and_what_carries_has_a_seat() -> None:
    for noun in scene.WEARERS:
        parts = scene.build(Caption(Thing(noun)))
        assert parts.head is None or parts.head[3] > 0
        low, high = parts.bounds()
        if parts.head is not None:
            assert low[1] < parts.head[1] <= high[1] + 0.05, noun
            assert abs(parts.head[0]) < 0.05, noun


def test_only_these_look_alike_from_the_front_and_from_behind() -> None:
    assert {name for name, noun in nouns.NOUNS.items() if not noun.front} == {
        "rocket", "table", "mug", "lamp", "hat", "tree", "mushroom",
    }  # fmt: skip


def test_the_middle_proportions_are_the_middle_of_every_range() -> None:
    """Of what is drawn at random they are the mean: a dog's legs, its length and its tail."""
    seen: list[tuple[float, float]] = []
    whole = nouns.NOUNS["dog"].build
    whole((1, 0, 0), lambda low, high: seen.append((low, high)) or low)
    assert len(seen) == 3
    middle = scene._thing(Thing("dog"), None)
    again = whole(nouns.COLORS["brown"], lambda low, high: (low + high) / 2)
    assert all(np.allclose(a.axes, b.axes) and a.color == b.color for a, b in zip(middle, again, strict=True))


def test_every_object_is_centred_and_touches_the_ball() -> None:
    parts = scene._fit(Parts([Solid(BLOCK, np.array((5.0, 1.0, 2.0)), np.diag((2.0, 1.0, 3.0)), (1, 0, 0))]))
    assert parts[0].center == pytest.approx((0, 0, 0), abs=1e-9)
    assert np.linalg.norm(parts[0].corners(), axis=1).max() == pytest.approx(scene.RADIUS)
