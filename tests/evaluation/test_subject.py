"""What scorers see: the protocol's cameras and light, and that its page says the same."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from df3d.errors import ExportError
from df3d.evaluation.protocol import AMBIENT, BACKGROUND, DISTANCE, ELEVATION, FOV_Y, PROTOCOL, SIZE, VIEWS, protocol
from df3d.evaluation.subject import TargetSubject
from df3d.evaluation.targets import Target
from df3d.mesh.finished import RADIUS
from df3d.plugin.catalog import Catalog
from df3d.scene.cameras import orbit
from df3d.testing import a_mesh, some_gaussians
from df3d.types import Material, Mesh, MeshAsset

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "protocol.md"


def subject(mesh: trimesh.Trimesh, catalog: Catalog, color: tuple[float, float, float] = (1, 1, 1)) -> TargetSubject:
    colors = np.tile(np.array(color, np.float32), (len(mesh.vertices), 1))
    asset = MeshAsset(Mesh(mesh.vertices.astype(np.float32), mesh.faces, colors=colors), Material(np.ones((1, 1, 3), np.float32)))
    return TargetSubject(Target(Path(), "a thing"), catalog, asset=asset)


def test_the_page_says_what_the_code_does() -> None:
    page = PAGE.read_text()
    assert f"version `{PROTOCOL}`" in page
    assert (
        f"| cameras | {VIEWS}, evenly around, the first at azimuth 0; elevation {ELEVATION:g} degrees, distance {DISTANCE:g}, "
        in page
    )
    assert f"vertical field of view {FOV_Y:g} degrees |" in page
    assert f"| {SIZE} x {SIZE}, 4 samples a pixel" in page
    assert f"albedo * ({AMBIENT:g} + {1 - AMBIENT:g} max(0, n . l)); both sides" in page
    assert f"its farthest vertex at a distance of {RADIUS:g} |" in page
    assert BACKGROUND == 1.0
    assert "on white |" in page
    assert (PROTOCOL, VIEWS, SIZE, ELEVATION, DISTANCE, FOV_Y, AMBIENT) == ("df3d-1", 12, 256, 15.0, 3.0, 35.0, 0.5)
    assert (protocol(12), protocol(6)) == ("df3d-1", "df3d-1/views=6")


def test_cameras_stand_evenly_around_at_one_height(catalog: Catalog) -> None:
    cameras = subject(trimesh.creation.box(), catalog).cameras
    assert len(cameras) == 12
    assert sorted(cameras.azimuth.tolist()) == [-180 + 30 * k for k in range(12)]
    assert cameras.azimuth[0] == 0
    torch.testing.assert_close(cameras.pose[:, 1, 3], torch.full((12,), 3 * math.sin(math.radians(15))))
    torch.testing.assert_close(
        cameras.pose[0, :3, 3], 3 * torch.tensor([0.0, math.sin(math.radians(15)), math.cos(math.radians(15))])
    )
    assert (cameras.height, cameras.width) == (256, 256)
    assert set(cameras.fov_y.tolist()) == {35.0}


def test_the_light_is_at_the_camera_and_falls_off_with_the_cosine(catalog: Catalog) -> None:
    """A ball of albedo 0.8: 0.8 where it faces the camera, 0.8 * (0.5 + 0.5 cos) elsewhere; white around it."""
    ball = subject(trimesh.creation.icosphere(5), catalog, (0.8, 0.4, 0.2))
    picture = ball.draw(orbit(1, elevation=0, distance=3.0, fov_y=35.0, size=256))[0].numpy()
    assert picture[128, 128, :3] == pytest.approx([0.8, 0.4, 0.2], abs=0.01)
    assert picture[2, 2].tolist() == [1, 1, 1, 0]
    focal = 128 / math.tan(math.radians(17.5))
    for turn in (30, 60):
        x, z = 0.85 * math.sin(math.radians(turn)), 0.85 * math.cos(math.radians(turn))
        towards = math.hypot(x, 3 - z)
        cosine = (x * -x + z * (3 - z)) / (0.85 * towards)
        seen = picture[128, 128 + round(focal * x / (3 - z)), 0]
        assert seen == pytest.approx(0.8 * (0.5 + 0.5 * cosine), abs=0.02)


@pytest.mark.parametrize("ambient", [0.1, 0.5, 0.9])
def test_what_faces_the_camera_has_its_own_colour_under_any_light(catalog: Catalog, ambient: float) -> None:
    square = trimesh.Trimesh([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], [[0, 1, 2], [0, 2, 3]], process=False)
    view = orbit(1, elevation=0, distance=3.0, fov_y=35.0, size=64)
    picture = subject(square, catalog, (0.2, 0.6, 0.4)).draw(view, ambient=ambient, background=0.25)[0].numpy()
    assert picture[32, 32, :3] == pytest.approx([0.2, 0.6, 0.4], abs=0.01)
    assert picture[1, 1].tolist() == [0.25, 0.25, 0.25, 0]


def test_both_sides_are_lit_alike_and_shape_alone_is_white(catalog: Catalog) -> None:
    square = trimesh.Trimesh([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]], [[0, 1, 2], [0, 2, 3]], process=False)
    seen = subject(square, catalog, (0.2, 0.6, 0.2))
    front, back = seen.draw(orbit(2, elevation=0, distance=3.0, fov_y=35.0, size=64)).numpy()[:, 32, 32]
    np.testing.assert_allclose(front, back, atol=0.01)
    assert front[:3] == pytest.approx([0.2, 0.6, 0.2], abs=0.01)
    assert seen.geometry.shape == (12, 256, 256, 3)
    assert seen.geometry[0, 128, 128].tolist() == pytest.approx([0.98] * 3, abs=0.03)


def test_an_object_of_any_size_and_place_fills_the_ball(catalog: Catalog) -> None:
    for scale, shift in ((1, 0), (100, 5000), (0.001, -3)):
        box = trimesh.creation.box((1, 2, 1))
        box.apply_scale(scale)
        box.apply_translation([shift, 0, shift])
        fitted = subject(box, catalog).fitted
        assert isinstance(fitted, MeshAsset)
        assert np.linalg.norm(fitted.mesh.vertices, axis=1).max() == pytest.approx(0.85, abs=1e-3)
        np.testing.assert_allclose(fitted.mesh.vertices.min(0) + fitted.mesh.vertices.max(0), 0, atol=1e-3)


def test_shape_and_colour_are_drawn_at_one_size_whatever_the_files(catalog: Catalog) -> None:
    """An asset of ten units is fitted before it is drawn, without colour too."""
    small, large = (subject(trimesh.creation.box(extents=[size] * 3), catalog) for size in (1.0, 10.0))
    torch.testing.assert_close(small.geometry, large.geometry, atol=1e-3, rtol=0)
    torch.testing.assert_close(small.color, large.color, atol=1e-3, rtol=0)
    assert 0.05 < float((large.geometry.amin(-1) < 0.99).float().mean()) < 0.6


def test_the_prompt_of_a_list_goes_before_that_of_the_file(catalog: Catalog) -> None:
    told = dataclasses.replace(a_mesh(), provenance={"prompt": "of the\x1bfile"})
    assert TargetSubject(Target(Path(), "of the list"), catalog, asset=told).prompt == "of the list"
    assert TargetSubject(Target(Path(), ""), catalog, asset=told).prompt == "of the file"
    assert TargetSubject(Target(Path(), ""), catalog, asset=dataclasses.replace(told, provenance={})).prompt == ""


def test_a_subject_is_seen_from_as_many_sides_as_are_asked_for(catalog: Catalog) -> None:
    seen = TargetSubject(Target(Path(), "x"), catalog, asset=a_mesh(), views=3)
    assert seen.cameras.azimuth.tolist() == pytest.approx([0.0, 120.0, -120.0])
    assert seen.opacity.shape == (3, 256, 256)
    assert set(seen.opacity[0, 0].tolist()) == {0.0}
    assert float(seen.opacity.max()) == 1.0
    assert seen.color.shape == (3, 256, 256, 3)


def test_what_has_no_shape_of_its_own_is_not_drawn_without_colour(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("df3d.evaluation.subject.drawable", lambda *given, **options: (None, None))
    seen = TargetSubject(Target(Path(), "x"), catalog, asset=some_gaussians(), views=1)
    with pytest.raises(ExportError, match="gaussians have no shape without colour"):
        _ = seen.geometry
