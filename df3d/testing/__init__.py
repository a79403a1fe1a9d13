"""Contract tests for plugin authors: subclass one, name the part, and pytest does the rest.

    from df3d.testing import GuidanceContract

    class TestRed(GuidanceContract):
        name = "red"

The part is built by its name, through the catalog, on the CPU, as a run builds it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar
from unittest import SkipTest

import numpy as np
import torch
from torch import Tensor

from df3d.cameras import orbit
from df3d.catalog import Catalog
from df3d.config import dump, parse
from df3d.evaluate import Subject
from df3d.interfaces import Surface, Volume
from df3d.plugin import Component, ExporterPlugin, FieldPlugin, RendererPlugin, ScorerPlugin
from df3d.prompt import Prompt
from df3d.schedule import Step
from df3d.targets import Target
from df3d.types import Asset, FieldSamples, Material, Mesh, RenderOutput, SurfaceMesh

__all__ = [
    "ExporterContract",
    "FieldContract",
    "GuidanceContract",
    "HollowBall",
    "RendererContract",
    "ScorerContract",
    "SolidBall",
    "an_asset",
]


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


def an_asset() -> Asset:
    """A finished asset for tests: a grey tetrahedron."""
    vertices = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32)
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]])
    normals = vertices - vertices.mean(0)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    material = Material(np.full((8, 8, 3), 0.5, np.float32))
    return Asset(Mesh(vertices, faces, normals, vertices[:, :2].copy()), material, {"prompt": "x"})


class _Contract:
    """What every kind of part promises."""

    kind: ClassVar[str]
    name: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}

    @property
    def plugin(self) -> Component:
        return Catalog.discover().get(self.kind, self.name)

    def make(self, **arguments: Any) -> Any:
        torch.manual_seed(0)
        return self.plugin.load()(parse(self.plugin.config, self.options), **arguments)

    def test_its_options_survive_being_written_and_read(self) -> None:
        config: Any = parse(self.plugin.config, self.options)
        assert parse(self.plugin.config, dump(config)) == config

    def test_listing_it_imports_no_torch(self) -> None:
        code = (
            "import sys; from df3d.catalog import Catalog;"
            f"Catalog.discover().get({self.kind!r}, {self.name!r}); sys.exit('torch' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 0


class FieldContract(_Contract):
    kind = "field"

    def test_it_is_what_its_record_says(self) -> None:
        field, plugin = self.make(device="cpu"), self.plugin
        assert isinstance(plugin, FieldPlugin)
        assert isinstance(field, Volume) == ("volume" in plugin.provides)
        assert isinstance(field, Surface) == ("surface" in plugin.provides)

    def test_a_volume_answers_with_densities_and_colours_that_train_it(self) -> None:
        field = self.make(device="cpu")
        if not isinstance(field, Volume):
            raise SkipTest("it is no volume")
        points = torch.rand(100, 3) - 0.5
        found = field.query(points, gradient=True)
        assert found.gradient is not None
        assert (found.density.shape, found.albedo.shape, found.gradient.shape) == ((100,), (100, 3), (100, 3))
        assert float(found.density.detach().min()) >= 0
        assert 0 <= float(found.albedo.detach().min()) <= float(found.albedo.detach().max()) <= 1
        torch.testing.assert_close(field.density(points), found.density)
        (found.density.sum() + found.albedo.sum() + found.gradient.sum()).backward()  # type: ignore[no-untyped-call]
        parameters = [p for group in field.parameter_groups() for p in group["params"]]
        assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in parameters)

    def test_a_surface_is_a_mesh_with_colours_that_train_it(self) -> None:
        field = self.make(device="cpu")
        if not isinstance(field, Surface):
            raise SkipTest("it is no surface")
        mesh = field.surface()
        assert mesh.vertices.shape[1] == mesh.faces.shape[1] == 3
        assert 0 <= int(mesh.faces.min()) <= int(mesh.faces.max()) < len(mesh.vertices)
        albedo = field.albedo(mesh.vertices.detach())
        assert albedo.shape == mesh.vertices.shape
        assert 0 <= float(albedo.detach().min()) <= float(albedo.detach().max()) <= 1
        (mesh.vertices.square().sum() + albedo.sum()).backward()  # type: ignore[no-untyped-call]
        parameters = [p for group in field.parameter_groups() for p in group["params"]]
        assert all(p.grad is not None and bool(torch.isfinite(p.grad).all()) for p in parameters)

    def test_its_state_is_all_there_is(self) -> None:
        first, second = self.make(device="cpu"), self.make(device="cpu")
        for group in first.parameter_groups():
            for parameter in group["params"]:
                parameter.data.add_(0.01)
        second.load_state_dict(first.state_dict())
        assert all(torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items())


class RendererContract(_Contract):
    """For renderers of volumes and of surfaces: they draw a ball of radius 0.5."""

    kind = "renderer"

    def draw(self, views: int, step: Step | None) -> tuple[SolidBall | HollowBall, RenderOutput]:
        plugin = self.plugin
        assert isinstance(plugin, RendererPlugin)
        field, renderer = (HollowBall() if "surface" in plugin.needs else SolidBall()), self.make(device="cpu")
        renderer.refresh(field, Step(0, 10))
        return field, renderer.render(field, orbit(views, size=16), step=step)

    def test_it_puts_out_what_its_record_says_in_range(self) -> None:
        plugin = self.plugin
        assert isinstance(plugin, RendererPlugin)
        for views in (1, 3):
            for step in (None, Step(9, 10)):
                _, view = self.draw(views, step)
                assert view.rgb.shape == (views, 16, 16, 3)
                assert view.opacity.shape == (views, 16, 16, 1)
                for output in plugin.outputs:
                    value = getattr(view, output)
                    assert value is not None
                    assert output == "mesh" or bool(torch.isfinite(value).all())
                assert float(view.opacity.detach().min()) >= -1e-4
                assert float(view.opacity.detach().max()) <= 1 + 1e-4

    def test_the_ball_is_in_the_middle_and_not_at_the_rim(self) -> None:
        _, view = self.draw(2, None)
        assert float(view.opacity.detach()[:, 8, 8].min()) > 0.9
        assert float(view.opacity.detach()[:, 0, 0].max()) < 0.1

    def test_pixels_train_the_field_and_a_step_repeats_itself(self) -> None:
        gradients = []
        for _ in range(2):
            field, view = self.draw(2, Step(3, 10))
            view.opacity.sum().backward()  # type: ignore[no-untyped-call]
            assert field.parameter.grad is not None
            assert float(field.parameter.grad) > 0
            gradients.append(field.parameter.grad)
        assert torch.equal(*gradients)


class GuidanceContract(_Contract):
    kind = "guidance"
    prompt: ClassVar[str] = "a red car"

    def test_it_judges_any_number_of_views_the_same_way_twice(self) -> None:
        for views in (1, 3):
            gradients = []
            for _ in range(2):
                guidance = self.make(device="cpu")
                encoded = guidance.encode(Prompt(self.prompt))
                images = torch.rand(views, 64, 64, 3, generator=torch.Generator().manual_seed(1)).requires_grad_()
                guided = guidance.step(RenderOutput(images, images[..., :1]), orbit(views, size=64), encoded, Step(2, 10))
                assert guided.loss.shape == ()
                assert bool(torch.isfinite(guided.loss))
                guided.loss.backward()
                assert images.grad is not None
                assert float(images.grad.abs().sum()) > 0
                gradients.append(images.grad)
            assert torch.equal(*gradients)


class ScorerContract(_Contract):
    kind = "scorer"
    prompt: ClassVar[str] = "a red car"

    def test_its_measures_are_numbers_and_the_same_twice(self, tmp_path: Path) -> None:
        plugin, catalog = self.plugin, Catalog.discover()
        assert isinstance(plugin, ScorerPlugin)
        path = tmp_path / "asset.glb"
        path.touch()
        first, second = (
            self.make(device="cpu").score(Subject(Target(path, self.prompt), catalog, views=4, asset=an_asset())) for _ in range(2)
        )
        assert first == second
        assert all(np.isfinite(value) for value in first.values())
        assert {*plugin.headline, *plugin.lower} <= set(first)


class ExporterContract(_Contract):
    kind = "exporter"

    def test_it_writes_its_file_first_and_replaces_an_old_one(self, tmp_path: Path) -> None:
        plugin = self.plugin
        assert isinstance(plugin, ExporterPlugin)
        path = tmp_path / f"asset{plugin.suffixes[0]}"
        path.write_text("old")
        files = self.make().write(an_asset(), path)
        assert files[0] == path
        assert all(file.is_file() and file.stat().st_size > 0 for file in files)
        assert path.read_bytes() != b"old"
        assert sorted(files) == sorted(tmp_path.iterdir())
