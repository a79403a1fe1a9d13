"""3 x 3 convolutions with a quarter of the multiplications, for CPUs that compute in float32.

F(4 x 4, 3 x 3) of A. Lavin and S. Gray, "Fast algorithms for convolutional neural networks" (arXiv 1509.09308, section
4.1). Pictures are cut into tiles of 6 x 6 that overlap by two; in another basis the convolution of a tile is a product,
place by place, so that a layer is 36 products of matrices. Its gradients go the same way. Measured on one AVX2 core: the
embedded model's training step takes two thirds of the time that oneDNN's direct convolutions take. It costs memory, four
times the weights, which is why large models go without it.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from df3d.system import cpu

TILE, STEP = 6, 4  # pixels of a tile along an axis, and how many pixels of the result it gives
CHUNK = 1 << 21  # numbers in the tiles of a part of a batch, so that one pass finds in the cache what the last one wrote

# B transposed, A transposed, and G with itself (for both axes at once) of the paper.
INPUT = np.array([[4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
                  [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1]], np.float32)  # fmt: skip
OUTPUT = np.array([[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]], np.float32)
WEIGHT = torch.tensor([[6.0, 0, 0], [-4, -4, -4], [-4, 4, -4], [1, 2, 4], [1, -2, 4], [0, 0, 24]]) / 24
WEIGHT = torch.kron(WEIGHT, WEIGHT)  # (36, 9)


class WinogradConv2d(nn.Conv2d):
    """A `Conv2d` of 3 x 3 with stride 1 and padding 1 whose parameters are the same and whose work is less."""

    _frozen: tuple[int, Tensor] | None = None  # the version of the weight, and what came of it

    def forward(self, input: Tensor) -> Tensor:
        return _Convolution.apply(input, self.weight, self.bias, self._transformed())

    def _transformed(self) -> Tensor:
        if self.weight.requires_grad:
            return transform_weight(self.weight.detach())
        if self._frozen is None or self._frozen[0] != self.weight._version:
            self._frozen = self.weight._version, transform_weight(self.weight)
        return self._frozen[1]


def use_winograd(network: nn.Module) -> None:
    """Let every convolution of a network on the CPU, in float32, that can be computed so be computed so."""
    for module in network.modules():
        if type(module) is nn.Conv2d and _fits(module):
            module.__class__ = WinogradConv2d


def _fits(layer: nn.Conv2d) -> bool:
    plain = layer.kernel_size == (3, 3) and layer.stride == layer.dilation == layer.padding == (1, 1)
    wide = min(layer.in_channels, layer.out_channels) >= 32  # with few channels the change of basis costs more than it saves
    float32 = layer.weight.dtype == torch.float32 and layer.weight.device.type == "cpu"
    return plain and wide and float32 and layer.groups == 1 and layer.padding_mode == "zeros"


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, image: Tensor, weight: Tensor, bias: Tensor | None, transformed: Tensor) -> Tensor:
        ctx.save_for_backward(image if ctx.needs_input_grad[1] else image.new_empty(0), weight)
        return convolve(image, transformed, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        image, weight = ctx.saved_tensors
        turned = transform_weight(weight.detach().flip(2, 3).transpose(0, 1)) if ctx.needs_input_grad[0] else None
        return (
            None if turned is None else convolve(gradient, turned, None),
            weight_gradient(image, gradient) if ctx.needs_input_grad[1] else None,
            gradient.sum((0, 2, 3)) if ctx.needs_input_grad[2] else None,
            None,
        )


def transform_weight(weight: Tensor) -> Tensor:
    """(36, in, out) from a weight (out, in, 3, 3)."""
    outputs, inputs = weight.shape[:2]
    return (WEIGHT @ weight.permute(2, 3, 1, 0).reshape(9, inputs * outputs)).view(TILE * TILE, inputs, outputs)


def convolve(image: Tensor, transformed: Tensor, bias: Tensor | None) -> Tensor:
    """(B, out, H, W), channels last, from images (B, in, H, W) and a weight as `transform_weight` makes it."""
    count, inputs, height, width = image.shape
    rows, columns = _grid(image)
    outputs = transformed.shape[2]
    added = np.zeros(outputs, np.float32) if bias is None else bias.detach().numpy()
    result = image.new_empty((count, STEP * rows, STEP * columns, outputs))
    for part in _parts(image, max(inputs, outputs)):
        tiles = torch.bmm(to_tiles(image[part], INPUT, border=1), transformed).numpy()
        target = result[part].numpy()
        cpu.split(len(target) * rows, partial(_from_tiles, tiles, OUTPUT, added, target))
    return result[:, :height, :width].permute(0, 3, 1, 2)


def weight_gradient(image: Tensor, gradient: Tensor) -> Tensor:
    """(out, in, 3, 3): the gradient of the weight, from images (B, in, H, W) and the gradient of their convolution."""
    inputs, outputs = image.shape[1], gradient.shape[1]
    total = image.new_zeros((TILE * TILE, inputs, outputs))
    for part in _parts(image, max(inputs, outputs)):
        seen = to_tiles(image[part], INPUT, border=1)
        total.baddbmm_(seen.transpose(1, 2), to_tiles(gradient[part], OUTPUT.T, border=0))
    return (WEIGHT.T @ total.view(TILE * TILE, inputs * outputs)).view(3, 3, inputs, outputs).permute(3, 2, 0, 1)


def to_tiles(image: Tensor, matrix: np.ndarray, *, border: int) -> Tensor:
    """(36, tiles, C) from images (B, C, H, W): each tile T becomes `matrix` T `matrix` transposed; `matrix` is 6 x n."""
    pixels = image.detach().permute(0, 2, 3, 1).contiguous()
    count, channels = len(image), image.shape[1]
    rows, columns = _grid(image)
    tiles = image.new_empty((TILE * TILE, count * rows * columns, channels))
    target = tiles.view(TILE * TILE, count * rows, columns, channels).numpy()
    cpu.split(count * rows, partial(_to_tiles, pixels.numpy(), np.ascontiguousarray(matrix), border, target))
    return tiles


def _grid(image: Tensor) -> tuple[int, int]:
    """Rows and columns of tiles in images (B, C, H, W)."""
    return -(-image.shape[2] // STEP), -(-image.shape[3] // STEP)


def _parts(image: Tensor, channels: int) -> list[slice]:
    """A batch in parts whose tiles, with so many channels, are at most `CHUNK` numbers, or one image."""
    rows, columns = _grid(image)
    size = max(1, CHUNK // (TILE * TILE * rows * columns * channels))
    return [slice(start, start + size) for start in range(0, len(image), size)]


@cpu.kernel
def _to_tiles(images, matrix, border, tiles, start, stop):  # type: ignore[no-untyped-def]
    """Rows of tiles from `start` to `stop`, counted through the batch: first down each tile, then across."""
    count, height, width, channels = images.shape
    rows, columns = tiles.shape[1] // count, tiles.shape[2]
    factors = np.zeros((6, 6), np.float32)  # a matrix for smaller tiles gives what is beyond them no weight
    factors[:, : matrix.shape[1]] = matrix
    pixels = images.reshape(count * height, width * channels)
    mixed = np.zeros((6, 4 * columns + 2, channels), np.float32)
    lines = mixed.reshape(6, -1)[:, border * channels : (border + width) * channels]
    k = np.zeros(6, np.float32)
    p = np.zeros(6, np.int64)
    for row in range(start, stop):
        picture, top = row // rows, (row % rows) * 4 - border
        for i in range(6):
            for q in range(6):
                inside = 0 <= top + q < height
                k[q] = factors[i, q] if inside else 0.0
                p[q] = picture * height + (top + q if inside else 0)
            _mix_rows(lines[i], pixels, p, k)
        for i in range(6):
            for j in range(6):
                _mix_across(tiles[i * 6 + j, row], mixed[i], factors[j])


@cpu.kernel
def _mix_rows(line, rows, p, k):  # type: ignore[no-untyped-def]
    a, b, c, d, e, f = p[0], p[1], p[2], p[3], p[4], p[5]
    ka, kb, kc, kd, ke, kf = k[0], k[1], k[2], k[3], k[4], k[5]
    for x in range(line.shape[0]):
        line[x] = ka * rows[a, x] + kb * rows[b, x] + kc * rows[c, x] + kd * rows[d, x] + ke * rows[e, x] + kf * rows[f, x]


@cpu.kernel
def _mix_across(tiles, pixels, k):  # type: ignore[no-untyped-def]
    ka, kb, kc, kd, ke, kf = k[0], k[1], k[2], k[3], k[4], k[5]
    for column in range(tiles.shape[0]):
        x = 4 * column
        for i in range(tiles.shape[1]):
            tiles[column, i] = (
                ka * pixels[x, i] + kb * pixels[x + 1, i] + kc * pixels[x + 2, i]
                + kd * pixels[x + 3, i] + ke * pixels[x + 4, i] + kf * pixels[x + 5, i]
            )  # fmt: skip


@cpu.kernel
def _from_tiles(tiles, matrix, bias, images, start, stop):  # type: ignore[no-untyped-def]
    """Rows of tiles from `start` to `stop`, counted through the batch: `matrix` (4 x 6) T `matrix` transposed, plus `bias`."""
    count, height, width, channels = images.shape
    rows, columns = height // 4, width // 4
    source = tiles.reshape(36 * count * rows, columns * channels)
    mixed = np.empty((4, 6, columns, channels), np.float32)
    p = np.zeros(6, np.int64)
    for row in range(start, stop):
        for j in range(6):
            for q in range(6):
                p[q] = (q * 6 + j) * count * rows + row
            for i in range(4):
                _mix_rows(mixed[i, j].reshape(-1), source, p, matrix[i])
        for i in range(4):
            line = images[row // rows, (row % rows) * 4 + i]
            for j in range(4):
                _mix_tiles(line, mixed[i], matrix[j], bias, j)


@cpu.kernel
def _mix_tiles(line, mixed, k, bias, j):  # type: ignore[no-untyped-def]
    ka, kb, kc, kd, ke, kf = k[0], k[1], k[2], k[3], k[4], k[5]
    for column in range(mixed.shape[1]):
        x = 4 * column + j
        for i in range(mixed.shape[2]):
            line[x, i] = (
                bias[i] + ka * mixed[0, column, i] + kb * mixed[1, column, i] + kc * mixed[2, column, i]
                + kd * mixed[3, column, i] + ke * mixed[4, column, i] + kf * mixed[5, column, i]
            )  # fmt: skip
