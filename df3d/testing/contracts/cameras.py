"""What a camera sampler promises."""

from __future__ import annotations

from typing import Any
from unittest import SkipTest

import torch

from df3d.plugin.records import (
    CamerasPlugin,
    Workload,
)
from df3d.schedule import Step
from df3d.testing.contracts.contract import Contract


class CamerasContract(Contract):
    kind = "cameras"

    def exercise(self, config: Any) -> None:
        self.plugin.build(config, group=1).sample(Step(2, 10, "x"))

    @property
    def plugin(self) -> CamerasPlugin:
        return self.catalog.cameras.get(self.name)

    def test_a_step_has_its_own_cameras_that_see_the_object(self) -> None:
        sampler = self.plugin.build(self.config, group=1)
        first, again, other = (sampler.sample(Step(index, 10, "x")) for index in (2, 2, 3))
        assert len(first) >= 1
        assert torch.equal(first.pose, again.pose)
        assert not torch.equal(first.pose, other.pose)
        assert first.pose.shape[1:] == (4, 4)
        away = first.pose[:, :3, 3].norm(dim=-1)
        torch.testing.assert_close(away, first.distance)
        assert float(away.min()) > 1.0, "the object fills the unit ball"
        towards = -(first.pose[:, :3, 3] / away[:, None])
        assert float((towards * -first.pose[:, :3, 2]).sum(-1).min()) > 0.5, "they look past the object"

    def test_groups_are_whole(self) -> None:
        if not self.plugin.groups:
            raise SkipTest("it makes no groups")
        assert len(self.plugin.build(self.config, group=2).sample(Step(0, 10))) % 2 == 0

    def test_it_says_what_a_step_asks_of_others(self) -> None:
        work = self.plugin.ask("workload", self.config)
        if work is None:
            raise SkipTest("it does not say")
        assert isinstance(work, Workload)
        assert work.views == len(self.plugin.build(self.config, group=1).sample(Step(0, 10)))
