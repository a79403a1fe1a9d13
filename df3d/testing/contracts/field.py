"""What a field promises."""

from __future__ import annotations

from contextlib import suppress
from typing import Any
from unittest import SkipTest

import torch

from df3d.errors import Df3dError
from df3d.plugin.records import (
    FieldPlugin,
)
from df3d.protocols import AssetField, Renderer, Resizable, Surface, Trainable, Volume
from df3d.scene.cameras import orbit
from df3d.schedule import Step
from df3d.system.tensors import optimizer_tensors, restore_optimizer
from df3d.testing.contracts.contract import Contract
from df3d.testing.contracts.training import assert_trained, assert_wrong_states_are_refused, parameters_of
from df3d.testing.fakes import FIELDS
from df3d.types import RenderRequest


class FieldContract(Contract):
    kind = "field"

    def exercise(self, config: Any) -> None:
        for start in [None, *(FIELDS[name]() for name in sorted(self.plugin.starts_from & set(FIELDS)))]:
            with suppress(Df3dError):
                field = self.plugin.build(config, device="cpu", start_from=start)
                field.parameter_groups()
                field.before_step(Step(1, 4, "stage", 0))
                if isinstance(field, Volume):
                    field.query(torch.rand(64, 3) - 0.5, gradient=True)
                if isinstance(field, Surface):
                    field.albedo(field.surface().vertices.detach())
                if isinstance(field, Resizable):
                    for renderer in [r for r in self.catalog.renderers if r.needs <= self.plugin.provides][:1]:
                        _step_and_resize(field, renderer.build(renderer.config(), device="cpu"))

    @property
    def plugin(self) -> FieldPlugin:
        return self.catalog.fields.get(self.name)

    def make(self, start_from: Any = None) -> Any:
        torch.manual_seed(0)
        return self.plugin.build(self.config, device="cpu", start_from=start_from)

    def test_it_is_what_its_record_says(self) -> None:
        field, provides = self.make(), self.plugin.provides
        assert isinstance(field, Trainable)
        assert isinstance(field, Volume) == ("volume" in provides)
        assert isinstance(field, Surface) == ("surface" in provides)
        if isinstance(field, AssetField):
            assert field.asset().kind in provides

    def test_a_volume_answers_with_densities_and_colours_that_train_it(self) -> None:
        field = self.make()
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
        assert_trained(field)

    def test_a_surface_is_a_mesh_with_colours_that_train_it(self) -> None:
        field = self.make()
        if not isinstance(field, Surface):
            raise SkipTest("it is no surface")
        mesh = field.surface()
        assert mesh.vertices.shape[1] == mesh.faces.shape[1] == 3
        assert 0 <= int(mesh.faces.min()) <= int(mesh.faces.max()) < len(mesh.vertices)
        albedo = field.albedo(mesh.vertices.detach())
        assert albedo.shape == mesh.vertices.shape
        assert 0 <= float(albedo.detach().min()) <= float(albedo.detach().max()) <= 1
        (mesh.vertices.square().sum() + albedo.sum()).backward()  # type: ignore[no-untyped-call]
        assert_trained(field)

    def test_its_state_is_all_there_is(self) -> None:
        first, second = self.make(), self.make()
        for parameter in parameters_of(first):
            parameter.data.add_(0.01)
        second.load_state_dict(first.state_dict())
        assert all(torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items())

    def test_a_state_that_does_not_fit_is_refused(self) -> None:
        assert_wrong_states_are_refused(self.make)

    def test_it_starts_from_what_its_record_says(self) -> None:
        known = self.plugin.starts_from & set(FIELDS)
        if not known:
            raise SkipTest("it starts from nothing that is known here")
        for capability in sorted(known):
            with suppress(Df3dError):  # one that goes on from its own kind alone says so
                assert isinstance(self.make(FIELDS[capability]()), Trainable)

    def test_one_that_resizes_goes_on_from_its_state(self) -> None:
        field = self.make()
        if not isinstance(field, Resizable):
            raise SkipTest("its size does not change")
        renderer = next((r for r in self.catalog.renderers if r.needs <= self.plugin.provides), None)
        if renderer is None:
            raise SkipTest("nothing draws it")
        optimizer = _step_and_resize(field, renderer.build(renderer.config(), device="cpu"))
        again = self.make()
        again.load_state_dict(field.state_dict())
        second = torch.optim.Adam([{**group, "params": list(group["params"])} for group in again.parameter_groups()], lr=0.01)
        restore_optimizer(second, optimizer_tensors(optimizer))
        assert [p.shape for p in parameters_of(again)] == [p.shape for p in parameters_of(field)]


def _step_and_resize(field: Any, renderer: Renderer) -> torch.optim.Optimizer:
    """A hundred short steps, in which the field may change its size."""
    optimizer = torch.optim.Adam(field.parameter_groups(), lr=0.01)
    for index in range(100):
        _step(field, renderer, optimizer, Step(index, 100, "contract"))
    return optimizer


def _step(field: Any, renderer: Renderer, optimizer: torch.optim.Optimizer, step: Step) -> None:
    field.before_step(step)
    renderer.refresh(field, step)
    render = renderer.render(field, orbit(1, size=16), RenderRequest(step))
    optimizer.zero_grad()
    (render.rgb - 0.2).square().mean().backward()  # type: ignore[no-untyped-call]
    field.after_backward(optimizer, render, step)
    optimizer.step()
