"""The geometry scorer on meshes whose faults are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from df3d_mesh.intersections import intersecting
from df3d_mesh.scorer import GeometryScorer

from df3d.catalog import Catalog
from df3d.evaluate import Subject, Target
from df3d.plugin import NoConfig


def scores(mesh: trimesh.Trimesh, folder: Path) -> dict[str, float]:
    mesh.export(folder / "a.ply")
    return GeometryScorer(NoConfig()).score(Subject(Target(folder / "a.ply", ""), Catalog.discover()))


def two_balls(apart: float) -> trimesh.Trimesh:
    balls = [trimesh.creation.icosphere(subdivisions=2) for _ in range(2)]
    balls[1].apply_translation([apart, 0.02, 0.03])
    return trimesh.util.concatenate(balls)


def test_a_torus_is_whole_and_has_a_handle(tmp_path: Path) -> None:
    found = scores(trimesh.creation.torus(1.0, 0.3), tmp_path)
    assert (found["watertight"], found["genus"], found["components"]) == (1, 1, 1)
    faults = ("degenerate", "flipped", "boundary", "nonmanifold", "self_intersections")
    assert [found[fault] for fault in faults] == [0] * len(faults)


def test_a_hole_and_a_flipped_face_are_seen(tmp_path: Path) -> None:
    box = trimesh.creation.box()
    faces = box.faces[1:].copy()
    faces[0] = faces[0][::-1]
    found = scores(trimesh.Trimesh(box.vertices, faces, process=False), tmp_path)
    assert found["watertight"] == 0
    assert found["boundary"] == pytest.approx(3 / 18)
    assert found["flipped"] == pytest.approx(2 / 15) or found["flipped"] == pytest.approx(3 / 15)


def test_faces_that_pass_through_each_other_are_counted(tmp_path: Path) -> None:
    assert scores(two_balls(2.5), tmp_path)["self_intersections"] == 0
    assert 0.02 < scores(two_balls(1.5), tmp_path)["self_intersections"] < 0.3


def test_the_faces_found_are_those_that_every_pair_tells() -> None:
    """Against the plain definition: each edge of each face with each other face, exactly by signs of volumes."""
    rng = np.random.default_rng(0)
    faces = np.arange(180).reshape(60, 3)
    vertices = (rng.normal(size=(60, 1, 3)) + 0.5 * rng.normal(size=(60, 3, 3))).reshape(-1, 3)

    def volume(*points: np.ndarray) -> float:
        return float(np.linalg.det(np.stack([point - points[0] for point in points[1:]])))

    def pierced(triangle: np.ndarray, start: np.ndarray, end: np.ndarray) -> bool:
        if volume(start, *triangle) * volume(end, *triangle) > 0:
            return False
        sides = [volume(start, end, triangle[k], triangle[(k + 1) % 3]) > 0 for k in range(3)]
        return all(sides) or not any(sides)

    expected = np.zeros(60, bool)
    for a in range(60):
        for b in range(60):
            other = vertices[faces[b]]
            if a != b and any(pierced(vertices[faces[a]], other[k], other[(k + 1) % 3]) for k in range(3)):
                expected[a] = expected[b] = True
    assert 5 < expected.sum() < 60
    np.testing.assert_array_equal(intersecting(vertices, faces), expected)
