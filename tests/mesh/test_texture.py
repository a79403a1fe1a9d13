from __future__ import annotations

import dataclasses

import numpy as np
import torch
from fields import Ball

from df3d.mesh import cleanup, surface, texture
from df3d.types import Mesh


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
