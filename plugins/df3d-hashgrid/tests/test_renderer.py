from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from df3d_hashgrid.config import HashGridConfig, RayMarchConfig
from df3d_hashgrid.field import HashGridField
from df3d_hashgrid.renderer import RayMarchRenderer
from torch import Tensor

from df3d.plugin.catalog import Catalog
from df3d.recipe import recipe
from df3d.recipe.compose import compose
from df3d.scene.cameras import look_at, orbit
from df3d.scene.options import ShadingConfig
from df3d.schedule import Step
from df3d.types import Cameras, FieldSamples, RenderOutput, RenderRequest


class Ball:
    """A solid ball of radius 0.5 around a centre, red on its +X half, green on the other."""

    def __init__(self, center: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> None:
        self.center = torch.tensor(center)

    def density(self, points: Tensor) -> Tensor:
        return 200.0 * ((points - self.center).norm(dim=-1) < 0.5)

    def query(self, points: Tensor, *, gradient: bool = False) -> FieldSamples:
        left = (points[:, :1] > self.center[0]).float()
        albedo = torch.cat([left, 1 - left, torch.zeros_like(left)], dim=1)
        return FieldSamples(self.density(points), albedo, -(points - self.center) if gradient else None)


PLAIN = ShadingConfig(lambertian=0.0)


def draw(config: RayMarchConfig, cameras: Cameras, field: object = None, step: Step | None = None) -> RenderOutput:
    renderer = RayMarchRenderer(config)
    shape = field or Ball()
    renderer.refresh(shape, Step(0, 10))  # type: ignore[arg-type]
    return renderer.render(shape, cameras, RenderRequest(step))  # type: ignore[arg-type]


def small(**changes: object) -> RayMarchConfig:
    return RayMarchConfig(**{"samples": 100, "occupancy": 32, "shading": PLAIN, **changes})  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_a_ball_is_where_geometry_says(backend: str) -> None:
    view = draw(small(backend=backend), orbit(1, elevation=0.0, distance=3.0, fov_y=40.0, size=65))
    covered = view.opacity[0, :, :, 0] > 0.5
    assert covered[32, 32]
    assert not covered[0, 0]
    radius = 0.5 / (9 - 0.25) ** 0.5 / torch.tan(torch.deg2rad(torch.tensor(20.0))) * 32.5  # of the silhouette, in pixels
    assert covered.sum().item() == pytest.approx(torch.pi * radius.item() ** 2, rel=0.05)
    assert view.depth is not None
    assert view.depth[0, 32, 32, 0].item() == pytest.approx(2.5, abs=0.03)
    assert view.normal is not None
    torch.testing.assert_close(view.normal[0, 32, 32], torch.tensor([0.0, 0.0, 1.0]), atol=0.02, rtol=0)


def test_sides_are_not_swapped() -> None:
    """Seen from the front, +X is on the right; from the top row down, +Y comes first."""
    front = draw(small(), orbit(1, elevation=0.0, size=33)).rgb[0]
    assert front[16, 20, 0] > 0.9
    assert front[16, 12, 1] > 0.9
    high = draw(small(), orbit(1, elevation=0.0, size=33), Ball((0.0, 0.4, 0.0))).opacity[0, :, :, 0]
    assert high[:16].sum() > 5 * high[17:].sum()


def test_the_background_is_what_the_recipe_says() -> None:
    corner = (0, 0, 0)
    fixed = draw(small(background_color=(0.2, 0.4, 0.6)), orbit(1, size=8)).rgb
    torch.testing.assert_close(fixed[corner], torch.tensor([0.2, 0.4, 0.6]))
    random = [draw(small(background="random"), orbit(1, size=8), step=Step(i, 10)).rgb[corner] for i in (1, 1, 2)]
    assert torch.equal(random[0], random[1])
    assert not torch.equal(random[0], random[2])
    renderer = RayMarchRenderer(small(background="learned"))
    assert renderer.parameter_groups()
    view = renderer.render(Ball(), orbit(1, size=8), RenderRequest(Step(1, 10)))  # type: ignore[arg-type]
    view.rgb.sum().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in renderer.background.parameters())


@pytest.mark.parametrize("step", [None, Step(3, 10)])
def test_samples_that_do_not_show_are_not_asked_for_and_change_nothing(step: Step | None) -> None:
    class Counted(Ball):
        asked = 0

        def query(self, points: Tensor, *, gradient: bool = False) -> FieldSamples:
            self.asked += len(points)
            return super().query(points, gradient=gradient)

    every, few, cameras = Counted(), Counted(), orbit(2, size=24)
    whole = draw(small(opaque=1e-4), cameras, every, step)
    part = draw(small(opaque=1e-4, alpha_threshold=0.01), cameras, few, step)
    assert few.asked < 0.5 * every.asked
    for name in ("rgb", "opacity", "depth"):
        torch.testing.assert_close(getattr(part, name), getattr(whole, name), atol=2e-4, rtol=0)


def test_depth_is_that_of_what_is_seen_however_thin() -> None:
    class Fog(Ball):
        def density(self, points: Tensor) -> Tensor:
            return super().density(points) / 200

    view = draw(small(), orbit(1, elevation=0.0, distance=3.0, fov_y=40.0, size=9), Fog())
    assert float(view.opacity[0, 4, 4, 0]) == pytest.approx(1 - math.exp(-1), abs=0.02)
    assert view.depth is not None
    assert float(view.depth[0, 4, 4, 0]) == pytest.approx(3.5 - 1 / (math.e - 1), abs=0.03)


def test_chunks_change_nothing() -> None:
    cameras = orbit(2, size=16)
    whole, parts = (draw(small(chunk=chunk), cameras) for chunk in (100_000, 77))
    assert torch.equal(whole.rgb, parts.rgb)
    assert torch.equal(whole.opacity, parts.opacity)


def textured() -> HashGridField:
    torch.manual_seed(0)
    field = HashGridField(HashGridConfig(levels=3, log2_table=10, finest=32, hidden=16, density_bias=1.0))
    field.encoding.table.data.normal_(std=0.1)
    return field


LIT = ShadingConfig(albedo_until=0.0, lambertian=1.0, textureless=0.0)


def test_tiles_and_padded_samples_have_the_same_gradient() -> None:
    """With light, a learned background, and a loss on the samples themselves."""
    field, gradients = textured(), []
    for tile, multiple in ((0, 1), (100, 1), (0, 1000)):
        torch.manual_seed(1)
        renderer = RayMarchRenderer(small(tile=tile, shading=LIT, samples=40, background="learned"))
        renderer.multiple = multiple  # as on a GPU
        renderer.refresh(field, Step(0, 10))
        view = renderer.render(field, orbit(2, size=16), RenderRequest(Step(1, 10)))
        assert view.samples is not None
        assert view.samples.rays == 2 * 16 * 16
        loss = (
            (view.rgb * torch.linspace(0, 1, 16)[:, None]).mean()
            + view.opacity.square().mean()
            + view.samples.weights.square().sum()
        )
        gradients.append(torch.autograd.grad(loss, [*field.parameters(), *renderer.background.parameters()]))
    for whole, *others in zip(*gradients, strict=True):
        for other in others:
            torch.testing.assert_close(other, whole, atol=1e-5 * float(whole.abs().max()), rtol=1e-5)


def test_with_tiles_memory_does_not_grow_with_the_picture() -> None:
    """Bytes that a render keeps for its gradient."""
    field = textured()

    def kept(size: int, tile: int) -> int:
        held: dict[int, int] = {}

        def pack(tensor: Tensor) -> Tensor:
            held[tensor.data_ptr()] = tensor.numel() * tensor.element_size()
            return tensor

        renderer = RayMarchRenderer(small(tile=tile, shading=LIT, samples=40))
        renderer.refresh(field, Step(0, 10))
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            renderer.render(field, orbit(1, size=size), RenderRequest(Step(1, 10)))
        return sum(held.values())

    assert kept(64, 0) > 10 * kept(16, 0)
    assert kept(64, 64) < 0.05 * kept(64, 0)


def test_memory_is_saved_step_by_step_down_to_a_floor() -> None:
    renderer = RayMarchRenderer(small())
    said = [renderer.save_memory() for _ in range(8)]
    assert said[:2] == ["drawing 16384 rays at a time", "drawing 8192 rays at a time"]
    assert said[5:] == ["drawing 512 rays at a time", "", ""]


def test_light_falls_off_towards_the_rim() -> None:
    lit = small(shading=ShadingConfig(albedo_until=0.0, lambertian=1.0, textureless=1.0, ambient=0.2, diffuse=0.8, light="head"))
    white = draw(lit, orbit(1, elevation=0.0, size=65), step=Step(5, 10)).rgb[0, 32]
    assert white[32].min() > 0.95
    assert white[21].max() < 0.8
    assert white[21].min() > 0.2


def test_compiled_and_plain_train_a_field_alike() -> None:
    field, gradients = textured(), []
    for backend in ("numba", "torch"):
        view = draw(small(backend=backend, shading=LIT, samples=40), orbit(2, size=16), field, Step(1, 10))
        gradients.append(torch.autograd.grad((view.rgb * torch.linspace(0, 1, 16)[:, None]).sum(), [*field.parameters()]))
    for fast, plain in zip(*gradients, strict=True):
        torch.testing.assert_close(fast, plain, atol=2e-4 * float(plain.abs().max()), rtol=1e-2)


def test_the_occupancy_grid_follows_a_field_that_moves() -> None:
    renderer = RayMarchRenderer(small(refresh_every=1, occupancy_decay=0.1))
    for index, x in enumerate((-0.4, 0.4, 0.4, 0.4)):
        renderer.refresh(Ball((x, 0.0, 0.0)), Step(index, 10))  # type: ignore[arg-type]
    view = renderer.render(Ball((0.4, 0.0, 0.0)), orbit(1, elevation=0.0, size=33))  # type: ignore[arg-type]
    assert view.opacity[0, 16, 22, 0] > 0.99
    again = RayMarchRenderer(small())
    again.load_state_dict(renderer.state_dict())
    assert torch.equal(again.occupancy.most, renderer.occupancy.most)
    assert torch.equal(again.occupancy.least, renderer.occupancy.least)


def test_a_camera_at_the_rim_of_the_ball_is_no_trouble() -> None:
    one = torch.ones(1)
    close = look_at(0 * one, 0 * one, 1.01 * one, 60 * one, height=8, width=8)
    assert torch.isfinite(draw(small(), close).rgb).all()


@pytest.mark.parametrize("name", sorted(recipe.available(Catalog.discover())))
def test_what_a_recipe_begins_with_is_seen_and_not_skipped(name: str) -> None:
    """Space that no render shows has no gradient, and would be in the mesh all the same."""
    catalog = Catalog.discover()
    first = compose(recipe.find(name, catalog), catalog).stages[0]
    assert first.field is not None
    assert first.renderer is not None
    torch.manual_seed(0)
    field = HashGridField(first.field.config)

    def covered(config: RayMarchConfig) -> float:
        return (draw(config, orbit(1, size=48), field).opacity > 0.5).float().mean().item()

    whole = covered(dataclasses.replace(first.renderer.config, occupied=0.0))
    assert whole > 0.05
    assert covered(first.renderer.config) > 0.75 * whole
