"""Rows that come and go, and what an optimiser knows of them."""

from __future__ import annotations

import pytest
import torch

from df3d.scene.resize import resize_rows


@pytest.mark.parametrize("fused", [False, True])
def test_rows_that_stay_go_on_as_if_nothing_had_happened(fused: bool) -> None:
    """Adam treats rows alike, each by itself: those that stay move as they would have in the whole parameter."""
    whole, some = (torch.nn.Parameter(torch.arange(12.0).view(6, 2)) for _ in range(2))
    first, second = (torch.optim.Adam([parameter], lr=0.1, fused=fused) for parameter in (whole, some))

    def steps(count: int) -> None:
        for parameter, optimizer in ((whole, first), (some, second)):
            for _ in range(count):
                optimizer.zero_grad()
                (parameter**2).sum().backward()
                optimizer.step()

    steps(3)
    kept = torch.tensor([4, 1, 2])
    resize_rows(second, some, kept, torch.full((2, 2), 7.0))
    assert some.shape == (5, 2)
    assert torch.equal(some[:3], whole[kept])
    assert some.grad is not None
    assert torch.equal(some.grad[3:], torch.zeros(2, 2))
    assert torch.equal(second.state[some]["exp_avg"][3:], torch.zeros(2, 2))
    steps(4)
    torch.testing.assert_close(some[:3], whole[kept])
    assert (some[3:] < 7.0).all()  # and the new ones learn


def test_all_rows_may_go_and_one_without_moments_may_change() -> None:
    parameter = torch.nn.Parameter(torch.ones(3, 4))
    optimizer = torch.optim.Adam([parameter])
    resize_rows(optimizer, parameter, torch.zeros(0, dtype=torch.long), torch.ones(1, 4))
    assert parameter.shape == (1, 4)
    assert parameter.grad is None


def test_every_moment_of_a_new_row_is_zero_and_one_of_another_shape_stays() -> None:
    parameter = torch.nn.Parameter(torch.ones(3, 2))
    optimizer = torch.optim.Adam([parameter], lr=0.1)
    (parameter * torch.tensor([[1.0], [2.0], [3.0]])).sum().backward()
    optimizer.step()
    before = {name: value.clone() for name, value in optimizer.state[parameter].items()}
    resize_rows(optimizer, parameter, torch.tensor([2]), torch.zeros(2, 2, dtype=torch.float64))
    after = optimizer.state[parameter]
    for name in ("exp_avg", "exp_avg_sq"):
        assert torch.equal(after[name], torch.cat([before[name][2:], torch.zeros(2, 2)]))
    assert torch.equal(after["step"], before["step"])
    assert parameter.grad is not None
    assert torch.equal(parameter.grad, torch.tensor([[3.0, 3.0], [0, 0], [0, 0]]))
    assert parameter.dtype == torch.float32  # whatever the new rows were


def test_what_an_optimiser_keeps_in_another_shape_is_left_alone() -> None:
    parameter = torch.nn.Parameter(torch.ones(4, 2))
    optimizer = torch.optim.SGD([parameter], lr=0.1)
    optimizer.state[parameter] = {"rows": torch.arange(3.0), "name": "x"}
    resize_rows(optimizer, parameter, torch.tensor([3]), torch.zeros(0, 2))
    assert optimizer.state[parameter]["rows"].tolist() == [0.0, 1.0, 2.0]
    assert optimizer.state[parameter]["name"] == "x"
