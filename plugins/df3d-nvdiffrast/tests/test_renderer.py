from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from df3d_hashgrid.config import RayMarchConfig
from df3d_hashgrid.renderer import RayMarchRenderer
from df3d_nvdiffrast.config import RasterConfig
from df3d_nvdiffrast.raster import make
from df3d_nvdiffrast.renderer import RasterRenderer, _linear_texture, _shrink, _to_linear, _to_srgb, project, vertex_normals

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


def test_normals_of_vertices_are_weighted_by_area() -> None:
    """Two faces at a right angle, one of them three times as large as the other."""
    corners = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 3, 0], [0, 0, 1]])
    faces = torch.tensor([[0, 1, 2], [0, 3, 1]])  # areas 1.5 along z and 0.5 along y
    found = vertex_normals(SurfaceMesh(corners, faces))
    torch.testing.assert_close(found[0], torch.tensor([0.0, 1.0, 3.0]) / 10**0.5)
    torch.testing.assert_close(found[2], torch.tensor([0.0, 0.0, 1.0]))
    torch.testing.assert_close(found[3], torch.tensor([0.0, 1.0, 0.0]))


def square(**more: object) -> HollowBall:
    """A square of the size 1 in the plane z = 0, seen from the front."""
    corners = torch.tensor([[-0.5, -0.5, 0.0], [0.5, -0.5, 0.0], [0.5, 0.5, 0.0], [-0.5, 0.5, 0.0]])

    class Square(HollowBall):
        def surface(self) -> SurfaceMesh:
            return SurfaceMesh(corners, torch.tensor([[0, 1, 2], [0, 2, 3]]), **more)  # type: ignore[arg-type]

    return Square()


def test_depth_and_normals_are_means_of_what_a_pixel_shows() -> None:
    """From 3 away: 3 in the middle, and along the ray to the left more; normals face whoever looks, where both sides are seen."""
    full = torch.ones(2)
    views = look_at(torch.tensor([0.0, 180.0]), 0 * full, 3 * full, 20 * full, height=33, width=33)
    drawn = RasterRenderer(RasterConfig(supersample=1, shading=ALBEDO)).render(square(two_sided=True), views)
    assert float(drawn.depth[0, 16, 16, 0]) == pytest.approx(3.0, abs=1e-4)
    pixel = 2 * 3 * math.tan(math.radians(10)) / 33
    assert float(drawn.depth[0, 16, 10, 0]) == pytest.approx(math.hypot(3.0, 6 * pixel), abs=1e-4)
    torch.testing.assert_close(drawn.normal[:, 16, 16], torch.tensor([[0.0, 0, 1], [0, 0, -1]]), atol=1e-6, rtol=0)
    one_sided = RasterRenderer(RasterConfig(supersample=1, shading=ALBEDO)).render(square(), views)
    torch.testing.assert_close(one_sided.normal[:, 16, 16], torch.tensor([[0.0, 0, 1], [0, 0, 1]]), atol=1e-6, rtol=0)


def test_faces_seen_from_behind_are_left_out_where_that_is_wanted() -> None:
    full = torch.ones(2)
    views = look_at(torch.tensor([0.0, 180.0]), 0 * full, 3 * full, 20 * full, height=9, width=9)
    for cull, expected in ((False, [1.0, 1.0]), (True, [1.0, 0.0])):
        drawn = RasterRenderer(RasterConfig(cull=cull, shading=ALBEDO)).render(square(), views)
        assert drawn.opacity[:, 4, 4, 0].tolist() == expected


def test_colours_of_vertices_are_drawn() -> None:
    colors = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 0]])
    full = torch.ones(1)
    views = look_at(0 * full, 0 * full, 3 * full, 20 * full, height=33, width=33)
    drawn = RasterRenderer(RasterConfig(supersample=1, shading=ALBEDO)).render(square(colors=colors), views).rgb[0]
    torch.testing.assert_close(drawn[16, 16], torch.tensor([0.5, 0.0, 0.5]), atol=0.02, rtol=0)  # on the diagonal from red to blue


def test_each_time_memory_runs_out_there_is_one_sample_less_along_a_side() -> None:
    renderer = RasterRenderer(RasterConfig(supersample=3))
    assert renderer.save_memory() == "drawing 4 samples a pixel"
    assert renderer.config.supersample == 3


def test_a_mean_over_samples_is_taken_in_both_directions() -> None:
    image = torch.arange(24.0).view(1, 4, 6, 1)
    assert _shrink(image, 2)[0, :, :, 0].tolist() == [[3.5, 5.5, 7.5], [15.5, 17.5, 19.5]]
    assert _shrink(image, 1) is image


def test_srgb_and_back() -> None:
    """Values of IEC 61966-2-1."""
    linear = torch.tensor([0.0, 0.002, 0.2140, 1.0])
    torch.testing.assert_close(_to_srgb(linear), torch.tensor([0.0, 0.02584, 0.5, 1.0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(_to_linear(_to_srgb(linear)), linear, atol=1e-6, rtol=0)


def test_the_slow_rasteriser_is_noted_on_a_gpu_alone() -> None:
    assert RasterRenderer(RasterConfig()).notes == []
    assert make("cpu", "cuda")[1] == ""  # which was asked for


@pytest.mark.parametrize("channels", [3, 4])
def test_textures_of_bytes_are_those_of_numbers(channels: int) -> None:
    """Colours in linear light, opacities as they are: 128 of 255 is 0.2159 and 0.502."""
    texture = torch.tensor([[[0, 128, 255, 128][:channels]]], dtype=torch.uint8)
    found = _linear_texture(texture)
    torch.testing.assert_close(found, _linear_texture(texture.float() / 255))
    torch.testing.assert_close(found[0, 0], torch.tensor([0.0, 0.21586, 1.0, 0.50196][:channels]), atol=1e-4, rtol=0)
