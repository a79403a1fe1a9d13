"""Group normalisation by way of float32."""

from __future__ import annotations

import pytest
import torch
from df3d_prior.norm import SmallGroupNorm, use_small_norms
from torch import nn


def made(dtype: torch.dtype) -> nn.GroupNorm:
    norm = nn.GroupNorm(4, 16, eps=1e-3)
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(-1, 2, 16).bfloat16())
        norm.bias.copy_(torch.linspace(0.5, -0.5, 16).bfloat16())
    return norm.to(dtype)


@pytest.mark.parametrize("size", [8, 22, 23, 32])
def test_it_is_the_same_normalisation(size: int) -> None:
    norm = made(torch.bfloat16)
    image = torch.randn(2, 16, size, size, generator=torch.Generator().manual_seed(0)).bfloat16()
    image = (3 * image + 1).to(memory_format=torch.channels_last)
    exact = made(torch.float32)(image.float())
    use_small_norms(norm)
    found = norm(image)
    assert type(norm) is SmallGroupNorm
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), exact, rtol=2**-7, atol=2**-7)
    assert found.is_contiguous(memory_format=torch.channels_last)


def test_it_rounds_once_where_there_are_few_positions() -> None:
    norm, image = made(torch.bfloat16), torch.randn(2, 16, 8, 8).bfloat16()
    use_small_norms(norm)
    assert torch.equal(norm(image), made(torch.float32)(image.float()).bfloat16())


def test_others_stay_as_they_are() -> None:
    network = nn.Sequential(made(torch.float32), nn.GroupNorm(4, 16, affine=False), nn.LayerNorm(4).bfloat16())
    use_small_norms(network)
    assert [type(module) for module in network] == [nn.GroupNorm, nn.GroupNorm, nn.LayerNorm]
