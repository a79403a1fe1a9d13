"""What a guidance promises."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar
from unittest import SkipTest

import torch

from df3d.plugin.records import (
    GuidancePlugin,
)
from df3d.prompt import Prompt
from df3d.protocols import Reconfigurable, Trainable
from df3d.scene.cameras import orbit
from df3d.schedule import Step
from df3d.testing.contracts.contract import Contract
from df3d.testing.contracts.training import assert_wrong_states_are_refused
from df3d.testing.fakes import a_prompt, a_render


class GuidanceContract(Contract):
    kind = "guidance"
    prompt: ClassVar[str] = "a red car"

    def exercise(self, config: Any) -> None:
        guidance = self.plugin.build(config, device="cpu")
        with TemporaryDirectory() as folder:
            encoded = guidance.encode(a_prompt(self.prompt, self.plugin.accepts, Path(folder)))
        if isinstance(guidance, Trainable):
            guidance.parameter_groups()
        for step in (Step(2, 10), Step(9, 10)):
            cameras = orbit(2 * self.plugin.group, size=64)
            guidance.step(a_render(cameras)[0], cameras, encoded, step)

    @property
    def plugin(self) -> GuidancePlugin:
        return self.catalog.guidance.get(self.name)

    def make(self) -> Any:
        torch.manual_seed(0)
        return self.plugin.build(self.config, device="cpu")

    def test_it_judges_any_number_of_views_the_same_way_twice(self, tmp_path: Path) -> None:
        prompt = a_prompt(self.prompt, self.plugin.accepts, tmp_path)
        for groups in (1, 3):
            gradients = []
            for _ in range(2):
                guidance = self.make()
                encoded = guidance.encode(prompt)
                cameras = orbit(groups * self.plugin.group, size=64)
                render, images = a_render(cameras)
                guided = guidance.step(render, cameras, encoded, Step(2, 10))
                assert guided.loss.shape == ()
                assert bool(torch.isfinite(guided.loss))
                guided.loss.backward()
                assert images.grad is not None
                assert float(images.grad.abs().sum()) > 0
                gradients.append(images.grad)
            assert torch.equal(*gradients)

    def test_a_state_that_does_not_fit_is_refused(self) -> None:
        if not isinstance(self.make(), Trainable):
            raise SkipTest("it learns nothing")
        assert_wrong_states_are_refused(self.make)

    def test_one_that_served_a_run_serves_the_next_as_a_new_one_does(self, tmp_path: Path) -> None:
        """A batch keeps guidances that learn nothing, and shares what they have loaded between stages."""
        used = self.make()
        if isinstance(used, Trainable) and (used.parameter_groups() or used.state_dict()):
            raise SkipTest("it learns, and is built anew for each run")
        prompt = a_prompt(self.prompt, self.plugin.accepts, tmp_path)
        for index in (0, 9):
            self._gradient(used, prompt, Step(index, 10, "first"))
        expected = self._gradient(self.make(), prompt, Step(2, 10, "next"))
        assert torch.equal(self._gradient(used, prompt, Step(2, 10, "next")), expected)
        if isinstance(used, Reconfigurable) and (other := used.with_config(self.config)) is not None:
            assert torch.equal(self._gradient(other, prompt, Step(2, 10, "next")), expected)

    def _gradient(self, guidance: Any, prompt: Prompt, step: Step) -> torch.Tensor:
        cameras = orbit(self.plugin.group, size=64)
        render, images = a_render(cameras)
        guidance.step(render, cameras, guidance.encode(prompt), step).loss.backward()
        assert images.grad is not None
        return images.grad
