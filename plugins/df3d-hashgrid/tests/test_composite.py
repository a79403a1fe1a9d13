"""Compositing: worked numbers, the compiled one against the plain one, and gradients against finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from df3d_hashgrid.composite import composite, composite_torch
from df3d_hashgrid.march import Samples


def packed(counts: list[int], step: float = 0.1) -> Samples:
    total = sum(counts)
    ray = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    offsets = torch.tensor([0, *counts]).cumsum(0)
    return Samples(torch.zeros(total, 3), torch.zeros(total), ray, offsets, step)


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_worked_numbers(backend: str) -> None:
    density = torch.tensor([math.log(2), math.log(4), math.log(2)])  # alphas 1/2, 3/4 and 1/2 with a step of 1
    values = torch.tensor([[1.0], [10.0], [3.0]])
    total, opacity, weights = composite(density, values, packed([2, 0, 1], step=1.0), backend=backend)
    torch.testing.assert_close(weights, torch.tensor([0.5, 0.375, 0.5]))
    torch.testing.assert_close(total, torch.tensor([[4.25], [0.0], [1.5]]))
    torch.testing.assert_close(opacity, torch.tensor([0.875, 0.0, 0.5]))


def test_numba_equals_torch_in_values_and_gradients() -> None:
    torch.manual_seed(0)
    counts = torch.randint(0, 12, (3000,)).tolist()
    samples = packed(counts)
    cotangents = torch.randn(len(counts), 4), torch.randn(len(counts)), torch.randn(sum(counts))
    outcomes = []
    for backend in ("numba", "torch"):
        torch.manual_seed(1)
        density = (torch.rand(sum(counts)) * 20).requires_grad_()
        values = torch.randn(sum(counts), 4, requires_grad=True)
        outputs = composite(density, values, samples, backend=backend)
        loss = sum((output * cotangent).sum() for output, cotangent in zip(outputs, cotangents, strict=True))
        outcomes.append([*outputs, *torch.autograd.grad(loss, [density, values])])
    for fast, plain in zip(*outcomes, strict=True):
        torch.testing.assert_close(fast, plain, atol=2e-5, rtol=1e-4)


def test_the_plain_one_against_finite_differences() -> None:
    samples = packed([3, 0, 4])
    density = (torch.rand(7, dtype=torch.float64) * 10).requires_grad_()
    values = torch.randn(7, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda d, v: composite_torch(d, v, samples), (density, values))


def test_density_behind_an_opaque_sample_changes_nothing() -> None:
    density = torch.tensor([1e4, 1.0], requires_grad=True)
    total, _, _ = composite(density, torch.tensor([[1.0], [5.0]]), packed([2]), backend="numba")
    total.sum().backward()
    assert density.grad is not None
    assert density.grad[1] == 0


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_no_samples_at_all(backend: str) -> None:
    total, opacity, weights = composite(torch.zeros(0), torch.zeros(0, 3), packed([0, 0]), backend=backend)
    assert total.abs().sum() == 0
    assert opacity.abs().sum() == 0
    assert len(weights) == 0
