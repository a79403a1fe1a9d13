"""The fakes are what they say they are: balls of radius 0.5, a closed mesh, renders with every output."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from df3d.scene.cameras import orbit
from df3d.testing import HollowBall, SolidBall, a_mesh, a_prompt, a_render, some_gaussians
from df3d.testing.fakes import an_asset


def test_the_solid_ball_is_dense_within_half_a_unit() -> None:
    ball = SolidBall()
    at = torch.tensor([[0.0, 0.0, 0.0], [0.0, 0.47, 0.0], [0.5, 0.0, 0.0], [0.0, 0.0, 0.53]])
    assert ball.density(at).tolist() == pytest.approx([40, 40, 20, 0], abs=1e-3)
    found = ball.query(at, gradient=True)
    assert torch.equal(found.density, ball.density(at))
    assert torch.equal(found.albedo, ball.albedo(at))
    assert torch.equal(found.gradient, -at)  # type: ignore[arg-type]  # inwards
    assert ball.query(at).gradient is None
    assert ball.albedo(torch.tensor([[-1.0, 0.0, 3.0]])).tolist() == [[0.0, 0.5, 1.0]]


def test_the_hollow_ball_is_a_closed_sphere_seen_from_outside() -> None:
    surface = HollowBall().surface()
    assert torch.allclose(surface.vertices.norm(dim=-1), torch.tensor(0.5), atol=1e-6)
    mesh = trimesh.Trimesh(surface.vertices.detach().numpy(), surface.faces.numpy())
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 0.5**3, rel=0.03)
    surface.vertices.sum().backward()


def test_a_ball_keeps_its_one_number() -> None:
    one, other = SolidBall(), SolidBall()
    one.parameter.data.fill_(7.0)
    other.load_state_dict(one.state_dict())
    assert float(other.parameter.detach()) == 7.0
    one.parameter.data.fill_(8.0)
    assert float(other.parameter.detach()) == 7.0
    assert [list(group["params"]) for group in one.parameter_groups()] == [[one.parameter]]


def test_the_mesh_is_closed_and_its_normals_look_outwards() -> None:
    asset = a_mesh()
    mesh = trimesh.Trimesh(asset.mesh.vertices, asset.mesh.faces)
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(1 / 6)
    normals, away = asset.mesh.normals, asset.mesh.vertices - asset.mesh.vertices.mean(0)
    assert normals is not None
    assert np.linalg.norm(normals, axis=1) == pytest.approx(1)
    assert ((normals * away).sum(1) > 0).all()
    assert (asset.material.base_color == 0.5).all()


def test_the_gaussians_lie_on_a_sphere_and_have_the_colours_of_their_places() -> None:
    cloud = some_gaussians(10).gaussians
    assert np.linalg.norm(cloud.means, axis=1) == pytest.approx(0.5, abs=1e-6)
    assert cloud.means.shape == cloud.scales.shape == (10, 3)
    assert 0.5 + 0.28209479 * cloud.harmonics[:, 0] == pytest.approx((cloud.means + 0.5).clip(0, 1), abs=1e-6)
    assert np.array_equal(some_gaussians(10).gaussians.means, cloud.means)


def test_the_asset_is_of_a_kind_that_is_taken() -> None:
    assert an_asset(frozenset({"gaussians"})).kind == "gaussians"
    assert an_asset(frozenset({"gaussians", "mesh"})).kind == an_asset(frozenset({"mesh"})).kind == "mesh"


def test_a_render_has_every_output_and_its_colours_have_a_gradient() -> None:
    render, images = a_render(orbit(2, size=8))
    assert all(getattr(render, field.name) is not None for field in dataclasses.fields(render))
    assert render.rgb.shape == (2, 8, 8, 3)
    assert render.samples is not None
    assert render.samples.rays == len(render.samples.weights) == 128
    assert render.samples.directions.norm(dim=-1).tolist() == pytest.approx([1.0] * 128, abs=1e-5)
    assert render.normal is not None
    assert bool((render.normal.norm(dim=-1, keepdim=True) <= render.opacity + 1e-6).all())
    render.rgb.sum().backward()
    assert torch.equal(images.grad, torch.ones_like(images))  # type: ignore[arg-type]
    assert torch.equal(a_render(orbit(2, size=8))[0].rgb, render.rgb)


def test_a_prompt_has_a_picture_for_those_who_look(tmp_path: Path) -> None:
    assert a_prompt("a red car", frozenset({"text"}), tmp_path).pictures == ()
    (picture,) = a_prompt("a red car", frozenset({"text", "image"}), tmp_path).pictures
    assert (picture.azimuth, picture.elevation) == (0.0, 0.0)
    assert np.asarray(Image.open(picture.path)).tolist() == [[[255, 0, 0]] * 16] * 16
