"""Winograd convolutions against torch's own."""

from __future__ import annotations

import pytest
import torch
from df3d_prior.winograd import WinogradConv2d, use_winograd
from torch import Tensor, nn


def pair(inputs: int, outputs: int, *, bias: bool = True) -> tuple[nn.Conv2d, nn.Conv2d]:
    torch.manual_seed(0)
    plain, fast = (nn.Conv2d(inputs, outputs, 3, padding=1, bias=bias) for _ in range(2))
    fast.load_state_dict(plain.state_dict())
    use_winograd(fast)
    assert [type(plain), type(fast)] == [nn.Conv2d, WinogradConv2d]
    return plain, fast


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=3e-5 * float(expected.detach().abs().max()))


@pytest.mark.parametrize(
    ("inputs", "outputs", "height", "width"), [(32, 40, 8, 8), (40, 32, 4, 12), (33, 35, 7, 10), (32, 32, 1, 3)]
)
@pytest.mark.parametrize("count", [1, 3])
def test_result_and_gradients_are_those_of_a_convolution(inputs: int, outputs: int, height: int, width: int, count: int) -> None:
    plain, fast = pair(inputs, outputs)
    image = torch.randn(count, inputs, height, width)
    weights = torch.randn(count, outputs, height, width)
    results = []
    for layer in (plain, fast):
        seen = image.clone().requires_grad_()
        result = layer(seen)
        (result * weights).sum().backward()
        results.append((result, seen.grad, layer.weight.grad, layer.bias.grad))
    for expected, found in zip(*results, strict=True):
        close(found, expected)


def test_parts_of_a_batch_and_threads_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("df3d_prior.winograd.CHUNK", 1)
    monkeypatch.setattr("df3d.system.cpu.threads", lambda: 3)
    plain, fast = pair(32, 32, bias=False)
    image = torch.randn(5, 32, 8, 8).contiguous(memory_format=torch.channels_last)
    for layer in (plain, fast):
        layer(image).square().sum().backward()
    close(fast(image), plain(image))
    close(fast.weight.grad, plain.weight.grad)


def test_a_frozen_layer_heeds_new_weights() -> None:
    plain, fast = pair(32, 32)
    image = torch.randn(2, 32, 8, 8)
    for layer in (plain, fast):
        layer.requires_grad_(False)
        layer(image)
        layer.weight.mul_(2.0)
    close(fast(image), plain(image))


def test_other_layers_are_left_alone() -> None:
    layers = nn.Sequential(
        *(nn.Conv2d(32, 32, 3, padding=1, stride=2), nn.Conv2d(32, 32, 1), nn.Conv2d(32, 32, 3, padding=1, groups=2)),
        *(nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 32, 3, padding=1, padding_mode="circular"), nn.Conv2d(32, 32, 3)),
        nn.Conv2d(32, 32, 3, padding=1, dtype=torch.bfloat16),
    )
    use_winograd(layers)
    assert {type(layer) for layer in layers} == {nn.Conv2d}
