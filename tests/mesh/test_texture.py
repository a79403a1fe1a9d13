from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from fields import Ball
from scipy import ndimage

from df3d.mesh import cleanup, surface, texture
from df3d.types import Mesh, SurfaceMesh


def textured(size: int = 256) -> tuple[Mesh, np.ndarray]:
    mesh = cleanup.clean(surface.extract(Ball(0.5), resolution=32), keep=0.02, faces=400)
    mesh = texture.unwrap(mesh, size=size)
    return mesh, texture.bake(mesh, Ball(0.5), size=size)


def lookup(mesh: Mesh, image: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions and texture colours at one place in every face."""
    assert mesh.uvs is not None
    position = np.einsum("c,fcx->fx", weights, mesh.vertices[mesh.faces])
    uv = np.einsum("c,fcx->fx", weights, mesh.uvs[mesh.faces])
    column, row = np.clip(np.stack([uv[:, 0], 1 - uv[:, 1]]) * image.shape[0], 0, image.shape[0] - 1).astype(int)
    return position, image[row, column]


def test_the_texture_shows_the_field_at_every_face() -> None:
    mesh, image = textured()
    position, color = lookup(mesh, image, np.array([0.4, 0.35, 0.25]))
    error = np.abs(color - (position * 0.5 + 0.5)).max(1)
    assert np.median(error) < 0.01
    assert error.mean() < 0.03


def test_islands_do_not_overlap_and_lie_within_the_texture() -> None:
    mesh, _ = textured()
    assert mesh.uvs is not None
    assert mesh.uvs.min() >= 0
    assert mesh.uvs.max() <= 1
    a, b, c = (mesh.uvs[mesh.faces[:, i]].astype(float) for i in range(3))
    area = np.abs((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]).sum() / 2
    assert 0.2 < area < 1.0


def test_texels_outside_the_islands_repeat_the_nearest_inside() -> None:
    _, image = textured()
    assert image.min() > 0.2  # a ball of radius 0.5 has albedo within 0.25 to 0.75: nothing is left black
    assert image.max() < 0.8


def test_normals_stay_smooth_across_seams() -> None:
    mesh, _ = textured()
    assert mesh.normals is not None
    towards = mesh.vertices / np.linalg.norm(mesh.vertices, axis=1, keepdims=True)
    assert ((mesh.normals * towards).sum(1) > 0.7).all()


def test_a_normal_map_brings_back_what_simplification_took() -> None:
    detailed = cleanup.clean(surface.extract(Bumps(), resolution=64), keep=0.02, faces=0)
    mesh = texture.unwrap(cleanup.clean(detailed, keep=0.02, faces=500), size=512)
    mesh = dataclasses.replace(mesh, tangents=texture.tangents(mesh))
    image = texture.bake_normals(mesh, detailed, size=512)
    weights = np.array([0.4, 0.35, 0.25])
    position, mapped = lookup(mesh, image, weights)
    assert mesh.normals is not None
    assert mesh.uvs is not None
    plain = np.einsum("c,fcx->fx", weights, mesh.normals[mesh.faces])
    plain /= np.linalg.norm(plain, axis=1, keepdims=True)
    # The viewer's side, worked another way: tangents from the pseudo-inverse of each face's texture coordinates.
    corners, uvs = mesh.vertices[mesh.faces], mesh.uvs[mesh.faces]
    edges, sides = corners[:, 1:] - corners[:, :1], (uvs[:, 1:] - uvs[:, :1]).astype(float)
    along = np.einsum("fij,fjx->fix", np.linalg.pinv(sides), edges)  # d position / du, d position / dv
    tangent = along[:, 0] - plain * (plain * along[:, 0]).sum(1, keepdims=True)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    bitangent = np.cross(plain, tangent)
    bitangent *= np.sign((bitangent * along[:, 1]).sum(1, keepdims=True))
    x, y, z = (2 * mapped - 1).T[:, :, None]
    shown = x * tangent + y * bitangent + z * plain
    truth = Bumps.normal(position)
    before, after = ((truth * found).sum(1).clip(-1, 1) for found in (plain, shown))
    assert np.degrees(np.arccos(after)).mean() < 0.5 * np.degrees(np.arccos(before)).mean()


class Bumps(Ball):
    """A ball with waves on it."""

    def __init__(self) -> None:
        super().__init__(0.6)

    @staticmethod
    def _height(points: torch.Tensor) -> torch.Tensor:
        return 0.02 * torch.sin(12 * points).prod(-1)

    def density(self, points: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid((0.6 + self._height(points) - points.norm(dim=-1)) * 40) * 100

    @classmethod
    def normal(cls, points: np.ndarray) -> np.ndarray:
        at = torch.from_numpy(points).double().requires_grad_()
        (at.norm(dim=-1) - cls._height(at)).sum().backward()
        assert at.grad is not None
        return (at.grad / at.grad.norm(dim=-1, keepdim=True)).numpy()


def test_a_tangent_is_the_mean_of_its_faces_by_their_area() -> None:
    """Two faces that share a corner, one of thrice the area: their textures run along x, and along y."""
    vertices = np.array([[0, 0, 0], [3, 0, 0], [0, 2, 0], [-1, 0, 0], [0, -2, 0]], np.float32)
    uvs = np.array([[0, 0], [1, 0], [0, 1], [0, 1], [-1, 0]], np.float32)
    normals = np.tile(np.float32([0, 0, 1]), (5, 1))
    found = texture.tangents(Mesh(vertices, np.array([[0, 1, 2], [0, 3, 4]]), normals=normals, uvs=uvs))
    expected = np.array([3.0, 1.0]) / np.sqrt(10)  # along x by 3, along y by 1
    np.testing.assert_allclose(found[0, :2], expected, atol=1e-5)
    np.testing.assert_allclose(found[1, :3], [1, 0, 0], atol=1e-5)
    np.testing.assert_allclose(found[3, :3], [0, 1, 0], atol=1e-5)


def square(**changes: object) -> Mesh:
    """The unit square, its texture as it lies: u along x, v along y."""
    vertices = np.float32([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]])
    mesh = Mesh(vertices, np.array([[0, 1, 2], [0, 2, 3]]), np.tile(np.float32([0, 0, 1]), (4, 1)), vertices[:, :2].copy())
    return dataclasses.replace(mesh, **changes)  # type: ignore[arg-type]


def test_a_texel_holds_what_is_under_its_middle_and_rows_go_down() -> None:
    image = texture.bake(square(), Ball(), size=4)
    centres = (np.arange(4) + 0.5) / 4
    np.testing.assert_allclose(image[..., 0], np.tile(centres * 0.5 + 0.5, (4, 1)), atol=1e-6)
    np.testing.assert_allclose(image[..., 1], np.tile((centres[::-1] * 0.5 + 0.5)[:, None], (1, 4)), atol=1e-6)


def test_a_texel_beside_the_surface_is_as_the_nearest_on_it() -> None:
    half = square(uvs=np.float32([[0, 0], [0.5, 0], [0.5, 1], [0, 1]]))
    image = texture.bake(half, Ball(), size=8)
    assert np.array_equal(image[:, 4:], np.repeat(image[:, 3:4], 4, axis=1))
    triangle = dataclasses.replace(square(), faces=np.array([[0, 1, 2]]))
    covered, _ = texture._at_texels(triangle, triangle.vertices[triangle.faces], 16)
    assert covered[-1].all()
    assert not covered[0, :-1].any()
    assert covered.sum() == 16 * 17 // 2  # the half below the diagonal, and the diagonal


def test_a_tangent_of_a_mirrored_texture_says_so() -> None:
    plain, mirrored = square(), square(uvs=np.float32([[1, 0], [0, 0], [0, 1], [1, 1]]))
    np.testing.assert_allclose(texture.tangents(plain), [[1, 0, 0, 1]] * 4, atol=1e-6)
    np.testing.assert_allclose(texture.tangents(mirrored), [[-1, 0, 0, -1]] * 4, atol=1e-6)


def test_a_tangent_lies_across_its_normal_and_is_there_without_a_texture_too() -> None:
    leaning = np.tile(np.float32([0.6, 0, 0.8]), (4, 1))
    np.testing.assert_allclose(texture.tangents(square(normals=leaning)), [[0.8, 0, -0.6, 1]] * 4, atol=1e-6)
    for normal in np.eye(3, dtype=np.float32):
        lost = texture.tangents(square(normals=np.tile(normal, (4, 1)), uvs=np.zeros((4, 2), np.float32)))
        np.testing.assert_allclose(np.linalg.norm(lost[:, :3], axis=1), 1, atol=1e-6)
        np.testing.assert_allclose(lost[:, :3] @ normal, 0, atol=1e-6)


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_normal_map_says_how_far_the_finer_mesh_leans_and_to_which_side(mirrored: bool) -> None:
    """A finer mesh that leans by 0.6 to the right and 0.48 up, seen along the texture's own axes."""
    mesh = square(uvs=np.float32([[1, 0], [0, 0], [0, 1], [1, 1]])) if mirrored else square()
    mesh = dataclasses.replace(mesh, tangents=texture.tangents(mesh))
    leaning = square(normals=np.tile(np.float32([0.6, 0.48, 0.64]), (4, 1)))
    image = texture.bake_normals(mesh, leaning, size=4)
    expected = 0.5 + 0.5 * np.array([-0.6 if mirrored else 0.6, 0.48, 0.64])
    np.testing.assert_allclose(image, np.broadcast_to(expected, (4, 4, 3)), atol=1e-5)


def test_a_normal_map_never_turns_a_surface_away() -> None:
    mesh = dataclasses.replace(square(), tangents=texture.tangents(square()))
    behind = square(normals=np.tile(np.float32([0.6, 0, -0.8]), (4, 1)))
    np.testing.assert_allclose(texture.bake_normals(mesh, behind, size=2), np.broadcast_to([1.0, 0.5, 0.5], (2, 2, 3)), atol=1e-5)


def test_a_normal_is_mixed_from_the_three_nearest_by_how_near_they_are() -> None:
    """In the middle of a texel at (0.5, 0.5): three points at distances of 1, 1 and 2, and one that is farther."""
    mesh = dataclasses.replace(square(), tangents=texture.tangents(square()))
    vertices = np.float32([[1.5, 0.5, 0], [-0.5, 0.5, 0], [0.5, 2.5, 0], [0.5, 0.5, 9]])
    normals = np.float32([[1, 0, 0], [0, 0, 1], [0, 1, 0], [0, -1, 0]])
    detailed = Mesh(vertices, np.array([[0, 1, 2]]), normals)
    (((x, y, z),),) = 2 * texture.bake_normals(mesh, detailed, size=1) - 1
    np.testing.assert_allclose([x, y, z], np.array([1, 0.5, 1]) / 1.5, atol=1e-5)


def test_islands_are_far_enough_apart_for_smaller_pictures_and_as_large_as_fits() -> None:
    size = 256
    mesh = texture.unwrap(cleanup.clean(surface.extract(Ball(0.5, edge=0.3), resolution=24), keep=0.02, faces=0), size=size)
    covered, _ = texture._at_texels(mesh, mesh.vertices[mesh.faces], size)
    pieces, count = ndimage.label(covered, structure=np.ones((3, 3)))
    assert count > 1
    apart = min(
        float(ndimage.distance_transform_edt(pieces != number)[(pieces != number) & covered].min())
        for number in range(1, count + 1)
    )
    assert apart >= texture.PADDING - 2
    assert texture.PADDING == 8
    assert mesh.uvs is not None
    assert mesh.uvs.max() > 0.95


def test_a_texture_that_is_there_is_padded_and_its_seams_are_smooth() -> None:
    """Two halves of a fold, of other texture coordinates where they meet: their normals are one all the same."""
    vertices = np.float32([[0, 0, 0], [0, 1, 0], [-1, 0, 1], [0, 0, 0], [1, 0, 1], [0, 1, 0]])
    faces, uvs = np.array([[0, 1, 2], [3, 4, 5]]), np.float32([[0, 0], [0, 0.5], [0.5, 0], [0.5, 0.5], [1, 0.5], [0.5, 1]])
    image = np.zeros((8, 8, 3), np.float32)
    image[4:, :4], image[:4, 4:] = (1, 0, 0), (0, 1, 0)
    given = [torch.from_numpy(part) for part in (vertices, faces, uvs, image)]
    made = SurfaceMesh(given[0], given[1], uvs=given[2], texture=given[3])
    mesh, padded = texture.with_padding(made)
    assert mesh.normals is not None
    np.testing.assert_allclose(mesh.normals[0], mesh.normals[3], atol=1e-6)
    np.testing.assert_allclose(mesh.normals[1], mesh.normals[5], atol=1e-6)
    assert abs(float(mesh.normals[0, 0])) < 1e-6  # between the two
    assert not (padded == 0).all(2).any()  # no black is left, which was outside
    assert padded[7, 0].tolist() == [1, 0, 0]
    assert padded[3, 4].tolist() == [0, 1, 0]
