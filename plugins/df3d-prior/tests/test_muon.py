"""The optimiser: its directions are orthogonal, and it gets to the bottom of a bowl."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from df3d_prior.muon import BLOCK, Muon, orthogonalize


@pytest.mark.parametrize("shape", [(16, 64), (64, 16)])
def test_directions_keep_their_singular_vectors_and_lose_their_values(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    matrix = torch.randn(2, *shape) * torch.tensor([1e-3, 1e3])[:, None, None]
    found = orthogonalize(matrix).float()
    u, _, v = torch.linalg.svd(matrix, full_matrices=False)
    values = (u.mT @ found @ v.mT).diagonal(dim1=1, dim2=2)
    assert float(values.min()) > 0.5
    assert float(values.max()) < 1.4
    torch.testing.assert_close(found, u @ torch.diag_embed(values) @ v, atol=0.05, rtol=0)


def test_it_descends_and_can_be_saved_and_put_back() -> None:
    torch.manual_seed(0)
    target = torch.randn(2 * BLOCK, 8, 3, 3)

    def run(steps: int, weight: torch.nn.Parameter, optimizer: Muon) -> float:
        for _ in range(steps):
            optimizer.zero_grad()
            loss = (weight - target).square().mean()
            loss.backward()
            optimizer.step()
        return float(loss.detach())

    weight = torch.nn.Parameter(torch.zeros_like(target).to(memory_format=torch.channels_last))
    optimizer = Muon([weight], lr=0.05)
    first = run(1, weight, optimizer)
    run(49, weight, optimizer)
    other = torch.nn.Parameter(weight.detach().clone(memory_format=torch.preserve_format))
    again = Muon([other], lr=0.05)
    again.load_state_dict(deepcopy(optimizer.state_dict()))
    assert run(50, weight, optimizer) < 0.2 * first
    run(50, other, again)
    assert torch.equal(weight, other)
