"""The optimiser `adam` against its paper's own lines (arXiv 1412.6980, algorithm 1)."""

from __future__ import annotations

import math

import pytest
import torch

from df3d.run.adam import AdamConfig, adam


@pytest.mark.parametrize("config", [AdamConfig(), AdamConfig(learning_rate=0.1, betas=(0.5, 0.7), epsilon=1e-3)])
def test_steps_are_the_papers(config: AdamConfig) -> None:
    parameter = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = adam(config, [{"params": [parameter]}])
    value, m, v, (first, second) = 1.0, 0.0, 0.0, config.betas
    for t, gradient in enumerate((2.0, -1.0, 0.5, 3.0), start=1):
        parameter.grad = torch.tensor([gradient])
        optimizer.step()
        m, v = first * m + (1 - first) * gradient, second * v + (1 - second) * gradient**2
        value -= config.learning_rate * (m / (1 - first**t)) / (math.sqrt(v / (1 - second**t)) + config.epsilon)
        assert float(parameter.detach()) == pytest.approx(value, rel=1e-5)


def test_the_defaults_are_those_that_hash_grids_want() -> None:
    assert AdamConfig() == AdamConfig(learning_rate=0.01, betas=(0.9, 0.99), epsilon=1e-15)


def test_a_group_keeps_a_rate_of_its_own() -> None:
    parameter = torch.nn.Parameter(torch.tensor([1.0]))
    optimizer = adam(AdamConfig(learning_rate=0.5), [{"params": [parameter], "lr": 0.01}])
    parameter.grad = torch.tensor([4.0])
    optimizer.step()
    assert float(parameter.detach()) == pytest.approx(0.99)


def test_steps_are_fused_so_that_nothing_waits_for_a_bad_gradient() -> None:
    optimizer = adam(AdamConfig(), [{"params": [torch.nn.Parameter(torch.tensor([1.0]))]}])
    assert all(group["fused"] for group in optimizer.param_groups)


def test_rates_and_decays_that_cannot_be_are_refused() -> None:
    AdamConfig(learning_rate=0.0, epsilon=0.0, betas=(0.0, 0.999))
    for wrong in ({"learning_rate": -0.1}, {"epsilon": -1e-9}, {"betas": (0.9, 1.0)}, {"betas": (-0.1, 0.9)}):
        with pytest.raises(ValueError, match="must be at least 0"):
            AdamConfig(**wrong)  # type: ignore[arg-type]
