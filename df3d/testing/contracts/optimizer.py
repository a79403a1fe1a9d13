"""What an optimizer promises."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from df3d.plugin.records import (
    OptimizerPlugin,
)
from df3d.system.tensors import optimizer_tensors, restore_optimizer
from df3d.testing.contracts.contract import Contract


class OptimizerContract(Contract):
    kind = "optimizer"

    def exercise(self, config: Any) -> None:
        parameter = torch.nn.Parameter(torch.linspace(-1, 1, 12))
        _descend(parameter, self.plugin.build(config, [{"params": [parameter], "lr": 0.01}]), 2)

    @property
    def plugin(self) -> OptimizerPlugin:
        return self.catalog.optimizers.get(self.name)

    def make(self) -> tuple[Tensor, torch.optim.Optimizer]:
        parameter = torch.nn.Parameter(torch.linspace(-1, 1, 12).view(3, 4))
        return parameter, self.plugin.build(self.config, [{"params": [parameter], "lr": 0.01}])

    def test_it_goes_downhill(self) -> None:
        parameter, optimizer = self.make()
        before = float(parameter.detach().square().sum())
        _descend(parameter, optimizer, 20)
        assert float(parameter.detach().square().sum()) < before

    def test_it_goes_on_as_if_it_had_never_stopped(self) -> None:
        whole, first = self.make()
        _descend(whole, first, 3)
        half, second = self.make()
        half.data.copy_(whole.detach())
        restore_optimizer(second, optimizer_tensors(first))
        _descend(whole, first, 2)
        _descend(half, second, 2)
        assert torch.equal(whole, half)

    def test_moments_that_do_not_fit_are_refused(self) -> None:
        parameter, optimizer = self.make()
        _descend(parameter, optimizer, 1)
        right = optimizer_tensors(optimizer)
        wrong = [("belongs to no parameter", {"1.x": torch.zeros(3, 4)}), ("has no number", {"x.y": torch.zeros(3, 4)})]
        for name, tensor in right.items():
            wrong += [(f"has a `{name}` that is larger", {**right, name: torch.zeros(300, 400)})]
            wrong += [(f"has a `{name}` that is no number", {**right, name: torch.full_like(tensor, float("nan"))})]
        for how, state in wrong:
            try:
                restore_optimizer(self.make()[1], state)
            except ValueError:
                continue
            raise AssertionError(f"it took a state that {how}")

    def test_a_rate_of_zero_changes_nothing(self) -> None:
        parameter, optimizer = self.make()
        before = parameter.detach().clone()
        for group in optimizer.param_groups:
            group["lr"] = 0.0
        _descend(parameter, optimizer, 1)
        assert torch.equal(parameter, before)


def _descend(parameter: Tensor, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        parameter.square().sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
