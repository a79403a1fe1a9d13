from __future__ import annotations

import dataclasses

import pytest
import torch
from df3d_hashgrid.config import RayMarchConfig
from df3d_hashgrid.renderer import RayMarchRenderer
from df3d_nvdiffrast.config import RasterConfig
from df3d_nvdiffrast.renderer import RasterRenderer, project

from df3d.scene.cameras import look_at, orbit, rays
from df3d.scene.options import ShadingConfig
from df3d.schedule import Step
from df3d.testing import HollowBall, SolidBall
from df3d.types import RenderRequest, SurfaceMesh

ALBEDO = ShadingConfig(albedo_until=0.0, lambertian=0.0)
HEAD = ShadingConfig(albedo_until=0.0, lambertian=1.0, textureless=0.0, ambient=0.3, diffuse=0.7, light="head")


def test_projection_meets_the_rays_of_the_cameras() -> None:
    views = dataclasses.replace(orbit(3, size=8, elevation=30.0), width=12)
    origins, directions = rays(views)
    point = (origins + 2.5 * directions)[1, 2, 9]
    clip = project(point[None], views)[1, 0]
    expected = torch.tensor([(2 * 9 + 1) / 12 - 1, 1 - (2 * 2 + 1) / 8])
    torch.testing.assert_close(clip[:2] / clip[3], expected, atol=1e-5, rtol=1e-5)
    assert -1 < float(clip[2] / clip[3]) < 1


def test_it_draws_the_ball_that_the_ray_marcher_draws() -> None:
    views = orbit(3, size=48, elevation=20.0)
    marcher = RayMarchRenderer(RayMarchConfig(samples=512, shading=HEAD))
    solid = SolidBall()
    solid.parameter.data.fill_(500.0)
    marcher.refresh(solid, Step(0, 10))
    with torch.no_grad():
        volume = marcher.render(solid, views)
        hollow = HollowBall()
        hollow.parameter.fill_(0.525)  # where the solid one begins
        surface = RasterRenderer(RasterConfig(shading=HEAD)).render(hollow, views)
    assert (volume.opacity - surface.opacity).abs().mean() < 0.02
    assert (volume.rgb - surface.rgb).abs().mean() < 0.02
    inside = (volume.opacity > 0.99) & (surface.opacity > 0.99)
    assert (volume.depth - surface.depth).abs()[inside].mean() < 0.02
    assert (volume.normal - surface.normal).norm(dim=-1)[inside[..., 0]].mean() < 0.1


def test_the_radius_has_the_gradient_of_the_area() -> None:
    field, renderer = HollowBall(), RasterRenderer(RasterConfig(supersample=2))
    views = orbit(4, size=64)
    renderer.render(field, views, RenderRequest(Step(0, 10))).opacity.mean().backward()
    values = []
    with torch.no_grad():
        for radius in (0.48, 0.52):
            field.parameter.fill_(radius)
            values.append(float(renderer.render(field, views).opacity.mean()))
    assert abs(float(field.parameter.grad) / ((values[1] - values[0]) / 0.04) - 1) < 0.1


def test_a_texture_is_laid_on_as_its_uvs_say() -> None:
    corners = torch.tensor([[-0.5, -0.5, 0.0], [0.5, -0.5, 0.0], [0.5, 0.5, 0.0], [-0.5, 0.5, 0.0]])
    uvs = corners[:, :2] + 0.5
    texture = torch.rand(4, 4, 3)

    class Square(HollowBall):
        def surface(self) -> SurfaceMesh:
            return SurfaceMesh(corners, torch.tensor([[0, 1, 2], [0, 2, 3]]), uvs=uvs, texture=texture)

    full = torch.ones(1)
    views = look_at(0 * full, 0 * full, 3 * full, 20 * full, height=64, width=64)
    drawn = RasterRenderer(RasterConfig(shading=ALBEDO)).render(Square(), views).rgb[0]
    half = 0.5 / 3 / torch.tan(torch.deg2rad(torch.tensor(10.0)))  # half the square, in halves of the picture
    at = ((torch.tensor([-0.75, -0.25, 0.25, 0.75]) * half + 1) * 32).long()
    torch.testing.assert_close(drawn[at][:, at], texture, atol=0.06, rtol=0)


def test_less_memory_means_fewer_samples() -> None:
    renderer = RasterRenderer(RasterConfig(supersample=2))
    assert renderer.save_memory() == "drawing 1 sample a pixel"
    assert renderer.render(HollowBall(), orbit(1, size=16)).rgb.shape == (1, 16, 16, 3)
    assert renderer.save_memory() == ""


def test_nvdiffrast_is_asked_for_only_where_it_can_work() -> None:
    from df3d.errors import PluginError

    with pytest.raises(PluginError, match="rasteriser backend `nvdiffrast` cannot be used"):
        RasterRenderer(RasterConfig(backend="nvdiffrast"))
