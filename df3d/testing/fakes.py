"""Fields, renders, prompts and assets whose content is known, for tests of plugins."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from df3d.prompt import Picture, Prompt
from df3d.scene.cameras import orbit, rays
from df3d.schedule import Step
from df3d.types import (
    Asset,
    Cameras,
    FieldSamples,
    Gaussians,
    GaussiansAsset,
    Material,
    Mesh,
    MeshAsset,
    RaySamples,
    RenderOutput,
    SurfaceMesh,
)


class _Ball:
    """A field for tests: one parameter, coloured by position."""

    parameter: torch.nn.Parameter

    def albedo(self, points: Tensor) -> Tensor:
        return points.clamp(-1, 1) * 0.5 + 0.5

    def parameter_groups(self) -> list[dict[str, Any]]:
        return [{"params": [self.parameter]}]

    def before_step(self, step: Step) -> None: ...

    def state_dict(self) -> dict[str, Tensor]:
        return {"parameter": self.parameter.detach()}

    def load_state_dict(self, state: Any) -> None:
        self.parameter.data.copy_(state["parameter"])


class SolidBall(_Ball):
    """A volume for tests: a ball of radius 0.5, as dense as its one parameter says."""

    def __init__(self) -> None:
        self.parameter = torch.nn.Parameter(torch.tensor(40.0))

    def density(self, points: Tensor) -> Tensor:
        inside: Tensor = ((0.5 - points.norm(dim=-1)) / 0.05 + 0.5).clamp(0, 1)
        return self.parameter * inside

    def query(self, points: Tensor, *, gradient: bool = False) -> FieldSamples:
        return FieldSamples(self.density(points), self.albedo(points), -points if gradient else None)


class HollowBall(_Ball):
    """A surface for tests: a sphere whose radius is its one parameter."""

    def __init__(self) -> None:
        self.parameter = torch.nn.Parameter(torch.tensor(0.5))
        theta, phi = torch.linspace(0, torch.pi, 17)[:, None], torch.arange(32)[None] * (2 * torch.pi / 32)
        points = torch.stack([theta.sin() * phi.sin(), theta.cos().expand(17, 32), theta.sin() * phi.cos()], dim=-1)
        corner = torch.arange(17 * 32).view(17, 32)
        a, b, c, d = corner[:-1], corner[:-1].roll(-1, 1), corner[1:], corner[1:].roll(-1, 1)
        self._points = points.reshape(-1, 3)
        self._faces = torch.cat([torch.stack([a, c, b], -1).view(-1, 3), torch.stack([b, c, d], -1).view(-1, 3)])

    def surface(self) -> SurfaceMesh:
        return SurfaceMesh(self._points * self.parameter, self._faces)


FIELDS: dict[str, type[SolidBall] | type[HollowBall]] = {"volume": SolidBall, "surface": HollowBall}  # by capability


def a_mesh() -> MeshAsset:
    """A grey tetrahedron."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    normals = vertices - vertices.mean(0)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    material = Material(np.full((8, 8, 3), 0.5, np.float32))
    return MeshAsset(Mesh(vertices, faces, normals, vertices[:, :2].copy()), material, provenance={"prompt": "x"})


def some_gaussians(count: int = 64) -> GaussiansAsset:
    """Small round Gaussians on a sphere of radius 0.5, coloured by position."""
    rng = np.random.default_rng(0)
    means = rng.standard_normal((count, 3))
    means = (0.5 * means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)
    turns = np.tile(np.array([1, 0, 0, 0], np.float32), (count, 1))
    colors = ((means + 0.5).clip(0, 1) - 0.5) / 0.28209479
    cloud = Gaussians(means, np.full((count, 3), 0.05, np.float32), turns, np.full(count, 0.9, np.float32), colors[:, None])
    return GaussiansAsset(cloud, provenance={"prompt": "x"})


def an_asset(kinds: frozenset[str]) -> Asset:
    """An asset of one of the kinds."""
    return some_gaussians() if "gaussians" in kinds and "mesh" not in kinds else a_mesh()


def a_render(cameras: Cameras) -> tuple[RenderOutput, Tensor]:
    """A render that has every output, and the parameter (V, H, W, 3) that its colours are, with a gradient."""
    views, height, width = len(cameras), cameras.height, cameras.width
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(views, height, width, 3, generator=generator).requires_grad_()
    opacity, directions = images[..., :1], rays(cameras)[1]
    normal = torch.nn.functional.normalize(images - 0.5, dim=-1) * opacity
    count = views * height * width
    samples = RaySamples(opacity.reshape(-1), normal.reshape(-1, 3), directions.reshape(-1, 3), count)
    ball = HollowBall()
    slopes = ball.surface().vertices * 2
    mesh = SurfaceMesh(ball.surface().vertices, ball.surface().faces, slopes=slopes)
    depth, background = torch.full_like(opacity, 3.0), torch.ones_like(images)
    return RenderOutput(images, opacity, depth, normal, samples, mesh, background), images


def a_prompt(text: str, accepts: frozenset[str], folder: Path) -> Prompt:
    """A prompt with all that a part accepts: a picture seen from the front, and a mesh."""
    pictures: tuple[Picture, ...] = ()
    if "image" in accepts:
        path = folder / "front.png"
        path.write_bytes(_red_square())
        pictures = (Picture(path, 0.0, 0.0),)
    return Prompt(text, pictures=pictures)


def some_cameras(views: int, size: int = 64) -> Cameras:
    return orbit(views, size=size)


def _red_square() -> bytes:
    """A PNG of 16 x 16 red pixels."""
    from PIL import Image

    data = io.BytesIO()
    Image.new("RGB", (16, 16), (255, 0, 0)).save(data, "PNG")
    return data.getvalue()
