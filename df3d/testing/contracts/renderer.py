"""What a renderer promises."""

from __future__ import annotations

from typing import Any
from unittest import SkipTest

import torch
from torch import Tensor

from df3d.plugin.records import (
    RendererPlugin,
)
from df3d.protocols import Field, Renderer
from df3d.scene.cameras import orbit
from df3d.schedule import Step
from df3d.testing.contracts.contract import Contract
from df3d.testing.contracts.training import assert_wrong_states_are_refused, parameters_of
from df3d.testing.fakes import FIELDS
from df3d.types import AT_BEST, RenderOutput, RenderRequest


class RendererContract(Contract):
    """For volumes and surfaces: it draws a ball of radius 0.5. For other fields: one that is installed."""

    kind = "renderer"

    def exercise(self, config: Any) -> None:
        field, renderer = self.field(), self.plugin.build(config, device="cpu")
        renderer.parameter_groups()
        for step in (Step(0, 10), Step(9, 10), None):
            renderer.refresh(field, step or Step(0, 10))
            renderer.render(field, orbit(1, size=16), RenderRequest(step, self.plugin.outputs if step else AT_BEST.needs))

    @property
    def plugin(self) -> RendererPlugin:
        return self.catalog.renderers.get(self.name)

    def make(self) -> Renderer:
        torch.manual_seed(0)
        return self.plugin.build(self.config, device="cpu")

    def field(self) -> Any:
        """What it draws here: a ball where it can, or else an installed field that has what it needs."""
        for capability, ball in FIELDS.items():
            if self.plugin.needs <= {capability}:
                return ball()
        for plugin in self.catalog.fields:
            if self.plugin.needs <= plugin.provides:
                torch.manual_seed(0)
                return plugin.build(plugin.config(), device="cpu", start_from=None)
        raise SkipTest(f"no field with {', '.join(sorted(self.plugin.needs))} is installed")

    def draw(self, views: int, step: Step | None) -> tuple[Field, RenderOutput]:
        field, renderer = self.field(), self.make()
        renderer.refresh(field, step or Step(0, 10))
        needs = self.plugin.outputs if step else AT_BEST.needs
        return field, renderer.render(field, orbit(views, size=16), RenderRequest(step, needs))

    def test_it_puts_out_what_its_record_says_in_range(self) -> None:
        for views in (1, 3):
            for step in (None, Step(0, 10), Step(9, 10)):
                _, view = self.draw(views, step)
                assert view.rgb.shape == (views, 16, 16, 3)
                assert view.opacity.shape == (views, 16, 16, 1)
                for output in self.plugin.outputs if step else ():
                    value = getattr(view, output)
                    assert value is not None, f"it did not put out {output}"
                    assert not isinstance(value, Tensor) or bool(torch.isfinite(value).all())
                assert float(view.opacity.detach().min()) >= -1e-4
                assert float(view.opacity.detach().max()) <= 1 + 1e-4

    def test_the_ball_is_in_the_middle_and_not_at_the_rim(self) -> None:
        if not any(self.plugin.needs <= {capability} for capability in FIELDS):
            raise SkipTest("it draws no balls")
        _, view = self.draw(2, None)
        assert float(view.opacity.detach()[:, 8, 8].min()) > 0.9
        assert float(view.opacity.detach()[:, 0, 0].max()) < 0.1

    def test_pixels_train_the_field_and_a_step_repeats_itself(self) -> None:
        gradients = []
        for _ in range(2):
            field, view = self.draw(2, Step(3, 10))
            (view.opacity.sum() + view.rgb.sum()).backward()  # type: ignore[no-untyped-call]
            found = [parameter.grad for parameter in parameters_of(field) if parameter.grad is not None]
            assert found
            assert all(bool(torch.isfinite(gradient).all()) for gradient in found)
            gradients.append(torch.cat([gradient.flatten() for gradient in found]))
        assert torch.equal(*gradients)
        assert float(gradients[0].abs().sum()) > 0

    def test_its_state_is_all_there_is(self) -> None:
        first, second = self.make(), self.make()
        first.refresh(self.field(), Step(0, 10))
        second.load_state_dict(first.state_dict())
        assert all(torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items())

    def test_a_state_that_does_not_fit_is_refused(self) -> None:
        assert_wrong_states_are_refused(self.make)
