from __future__ import annotations

import numpy as np
import pytest
import torch
import trimesh
from fields import Ball

from df3d.mesh import cleanup, surface
from df3d.types import Mesh


def volume(mesh: Mesh) -> float:
    a, b, c = (mesh.vertices[mesh.faces[:, i]].astype(float) for i in range(3))
    return float((np.cross(a, b) * c).sum() / 6)


def edges_are_shared_twice(mesh: Mesh) -> bool:
    edges = np.sort(np.concatenate([mesh.faces[:, [0, 1]], mesh.faces[:, [1, 2]], mesh.faces[:, [2, 0]]]), axis=1)
    return bool((np.unique(edges, axis=0, return_counts=True)[1] == 2).all())


def test_a_ball_becomes_a_closed_sphere_of_its_radius() -> None:
    mesh = cleanup.clean(surface.extract(Ball(0.5), resolution=64), keep=0.02, faces=2000)
    radii = np.linalg.norm(mesh.vertices, axis=1)
    assert abs(radii.mean() - 0.5) < 0.03
    assert radii.std() < 0.01
    assert 0.9 < volume(mesh) / (4 / 3 * np.pi * 0.5**3) < 1.25  # positive: faces look outwards
    assert edges_are_shared_twice(mesh)
    assert len(mesh.faces) <= 2000
    assert mesh.normals is not None
    outwards = (mesh.normals * mesh.vertices / radii[:, None]).sum(1)
    assert outwards.min() > 0.8


def test_floaters_go_and_large_pieces_stay() -> None:
    big = surface.extract(Ball(0.5), resolution=32)
    small = surface.extract(Ball(0.1), resolution=32)

    def beside(other: Mesh) -> Mesh:
        return Mesh(
            np.concatenate([big.vertices, other.vertices + 2]), np.concatenate([big.faces, other.faces + len(big.vertices)])
        )

    assert len(cleanup.clean(beside(small), keep=0.1, faces=0).faces) == len(big.faces)
    assert len(cleanup.clean(beside(big), keep=0.1, faces=0).faces) == 2 * len(big.faces)


def test_normals_of_a_degenerate_face_are_still_unit() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [2, 0, 0]], np.float32)
    assert np.allclose(np.linalg.norm(cleanup.vertex_normals(vertices, np.array([[0, 1, 2]])), axis=1), 1)


def test_a_simplified_mesh_stays_closed() -> None:
    """Thin walls that touch: where the simplification joins two sheets, they come apart again."""

    class Shells(Ball):
        def density(self, points: torch.Tensor) -> torch.Tensor:
            radius = points.norm(dim=-1) + 0.03 * torch.sin(20 * points[..., 0]) * torch.sin(17 * points[..., 1])
            return 100.0 * ((torch.sin(40 * radius) > 0.2) & (radius < 0.8)).float()

    mesh = surface.extract(Shells(), resolution=64, threshold=50.0)
    for faces in (20000, 5000, 1500):
        simple = cleanup.clean(mesh, keep=0.0, faces=faces)
        assert len(simple.faces) <= faces
        assert cleanup.is_closed(simple.faces)
        assert edges_are_shared_twice(cleanup.clean(simple, keep=0.0, faces=0))  # welding finds nothing to join


def test_faces_that_share_an_edge_with_two_others_come_apart() -> None:
    tetrahedron = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, -1, 0], [0, 0, -1]], np.float32)
    twin = np.array([0, 1, 4, 5])[tetrahedron]  # shares the edge 0-1
    vertices, faces = cleanup._unpinched(vertices, np.concatenate([tetrahedron, twin]))
    assert len(vertices) == 8
    assert cleanup.is_closed(faces)
    assert cleanup.is_closed(cleanup._welded(vertices, faces)[1])


def test_an_open_mesh_is_simplified_as_it_is() -> None:
    sheet = trimesh.creation.box().subdivide().subdivide().subdivide()
    simple = cleanup.clean(Mesh(np.asarray(sheet.vertices, np.float32), np.asarray(sheet.faces)[:-100]), keep=0.0, faces=200)
    assert 0 < len(simple.faces) <= 200
    assert not cleanup.is_closed(simple.faces)


def test_sheets_nearer_than_welding_reaches_do_not_open_the_mesh() -> None:
    box = trimesh.creation.box().subdivide().subdivide().subdivide()
    beside = box.vertices + np.array((1 + 4e-6, 1 + 4e-6, 0.0))  # edge to edge
    vertices = np.concatenate([box.vertices, beside]).astype(np.float32)
    faces = np.concatenate([box.faces, box.faces + len(box.vertices)])
    assert cleanup.is_closed(faces)
    for target in (0, 500):
        assert cleanup.is_closed(cleanup.clean(Mesh(vertices, faces), keep=0.0, faces=target).faces)


def test_open_and_twisted_meshes_are_not_closed() -> None:
    tetrahedron = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    assert cleanup.is_closed(tetrahedron)
    assert not cleanup.is_closed(tetrahedron[:3])
    assert not cleanup.is_closed(np.concatenate([tetrahedron[:3], tetrahedron[3:, ::-1]]))


def test_a_piece_is_as_large_as_its_share_of_the_largest_says() -> None:
    """12 faces beside 48 are a quarter of the largest, and a fifth of all."""
    large, small = trimesh.creation.box().subdivide(), trimesh.creation.box((0.1, 0.1, 0.1)).apply_translation((3, 0, 0))
    both = trimesh.util.concatenate([large, small])
    mesh = Mesh(np.asarray(both.vertices, np.float32), np.asarray(both.faces, np.int64))
    assert len(cleanup.clean(mesh, keep=0.25, faces=0).faces) == 60
    assert len(cleanup.clean(mesh, keep=0.26, faces=0).faces) == 48
    assert len(cleanup.clean(mesh, keep=0.0, faces=0).faces) == 60


def test_faces_that_share_any_corner_are_one_piece() -> None:
    vertices = np.eye(5, 3, dtype=np.float32) + np.arange(5, dtype=np.float32)[:, None]
    for second in ([3, 4, 2], [2, 3, 4], [3, 2, 4]):
        _, faces = cleanup._without_floaters(vertices, np.array([[0, 1, 2], second, [0, 1, 2]]), 0.6)
        assert len(faces) == 3


@pytest.fixture
def targets(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of faces that a simplification was asked for: it tears the mesh until it is asked for 200."""
    found: list[int] = []

    def simplify(vertices: np.ndarray, faces: np.ndarray, *, target_count: int) -> tuple[np.ndarray, np.ndarray]:
        found.append(target_count)
        assert len(found) < 50, "it never ends"
        ball = trimesh.creation.icosphere(1)
        return np.asarray(ball.vertices, np.float32), np.asarray(ball.faces)[0 if target_count >= 200 else 1 :]

    monkeypatch.setattr(cleanup.fast_simplification, "simplify", simplify)
    return found


def icosphere() -> Mesh:
    """A closed mesh of 320 faces."""
    ball = trimesh.creation.icosphere(2)
    return Mesh(np.asarray(ball.vertices, np.float32), np.asarray(ball.faces, np.int64))


def test_a_simplification_that_tears_the_mesh_is_tried_with_more_faces(targets: list[int]) -> None:
    simple = cleanup.clean(icosphere(), keep=0.0, faces=100)
    assert targets == [100, 150, 225]
    assert len(simple.faces) == 80
    assert cleanup.is_closed(simple.faces)


def test_a_simplification_that_always_tears_the_mesh_is_left_out(targets: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    simplify = cleanup.fast_simplification.simplify
    monkeypatch.setattr(cleanup.fast_simplification, "simplify", lambda *mesh, target_count: simplify(*mesh, target_count=1))
    same = cleanup.clean(icosphere(), keep=0.0, faces=200)
    assert len(targets) == 2  # with 200 and with 300 of the 320 faces
    assert len(same.faces) == 320


def test_no_mesh_is_simplified_to_less_than_a_solid(targets: list[int]) -> None:
    cleanup.clean(icosphere(), keep=0.0, faces=1)
    assert targets[:3] == [4, 6, 9]


def test_a_mesh_with_no_more_faces_than_asked_for_is_not_simplified(targets: list[int]) -> None:
    for faces in (320, 1000, 0):
        assert len(cleanup.clean(icosphere(), keep=0.0, faces=faces).faces) == 320
    assert targets == []


def test_vertices_are_welded_within_a_hundredth_of_a_thousandth() -> None:
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [4e-6, 0, 0], [1, 4e-6, 0], [1, 1, 0]], np.float32)
    welded, faces = cleanup._welded(vertices, np.array([[0, 1, 2], [3, 4, 5], [0, 3, 2]]))
    assert len(welded) == 4
    assert len(faces) == 2  # the one without area is gone
    apart, _ = cleanup._welded(
        np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [3e-5, 0, 0]], np.float32), np.array([[0, 1, 2], [3, 1, 2]])
    )
    assert len(apart) == 4


def test_what_comes_apart_moves_a_hundredth_of_the_way() -> None:
    """The corner at the origin goes towards the middle of its three faces' middles: (2/9, 2/9, 2/9)."""
    tetrahedron = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1], [0, -1, 0], [0, 0, -1]], np.float32)
    moved, _ = cleanup._unpinched(vertices, np.concatenate([tetrahedron, np.array([0, 1, 4, 5])[tetrahedron]]))
    near = moved[np.abs(moved).max(1) < 0.1]
    np.testing.assert_allclose(near[near[:, 1] > 0], [[0.02 / 9] * 3], atol=1e-6)
    assert any((row == (0, 1, 0)).all() for row in moved)  # what had one place stays


def test_a_normal_is_the_mean_of_its_faces_by_their_area() -> None:
    """One face looks along z, another of three times its area along y; a vertex of none looks up."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 3], [9, 9, 9]], np.float32)
    normals = cleanup.vertex_normals(vertices, np.array([[0, 1, 2], [0, 3, 1]]))
    np.testing.assert_allclose(normals[0], np.array([0, 3, 1]) / np.sqrt(10), atol=1e-6)
    np.testing.assert_allclose(normals[[2, 3, 4]], [[0, 0, 1], [0, 1, 0], [0, 1, 0]], atol=1e-6)


def test_nothing_and_an_edge_of_four_faces_are_not_closed() -> None:
    tetrahedron = np.array([[0, 1, 2], [0, 3, 1], [0, 2, 3], [1, 3, 2]])
    assert not cleanup.is_closed(np.zeros((0, 3), np.int64))
    assert not cleanup.is_closed(np.concatenate([tetrahedron, tetrahedron]))
