"""Muon: momentum, made orthogonal, for the weights of a network that are matrices.

K. Jordan et al., "Muon: an optimizer for hidden layers in neural networks" (2024); the scale that lets it share AdamW's
learning rate and weight decay is that of arXiv 2502.16982, equation 4. torch has one for matrices alone, from 2.9 on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
BLOCK = 128  # outputs that are made orthogonal together; the cost of more grows with their square


class Muon(torch.optim.Optimizer):
    """For parameters of two dimensions or more: a convolution is seen as the matrix (out, in * height * width)."""

    def __init__(self, parameters: Iterable[Tensor], *, lr: float, momentum: float = 0.95, weight_decay: float = 0.01) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            alike: dict[torch.Size, list[Tensor]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    alike[parameter.shape].append(parameter)
            for parameters in alike.values():
                self._step(parameters, **{name: group[name] for name in ("lr", "momentum", "weight_decay")})

    def _step(self, parameters: list[Tensor], *, lr: float, momentum: float, weight_decay: float) -> None:
        """Parameters of one shape, orthogonalised together."""
        gradients = [parameter.grad for parameter in parameters]
        for parameter in parameters:
            if not self.state[parameter]:
                self.state[parameter]["momentum"] = torch.zeros_like(parameter)
        averages = [self.state[parameter]["momentum"] for parameter in parameters]
        torch._foreach_lerp_(averages, gradients, 1 - momentum)
        ahead = torch._foreach_lerp(gradients, averages, momentum)  # Nesterov
        matrices = torch.stack([direction.flatten(1) for direction in ahead])
        rows, columns = matrices.shape[1:]
        blocks = matrices.view(-1, BLOCK, columns) if rows % BLOCK == 0 else matrices
        directions = orthogonalize(blocks).reshape(matrices.shape)
        scale = 0.2 * max(min(rows, BLOCK), columns) ** 0.5
        torch._foreach_mul_(parameters, 1 - lr * weight_decay)
        for parameter, direction in zip(parameters, directions, strict=True):
            parameter.add_(direction.view(parameter.shape), alpha=-lr * scale)


def orthogonalize(matrices: Tensor, steps: int = 5) -> Tensor:
    """(N, R, C) to matrices with the same singular vectors and singular values near 1: Newton-Schulz, quintic.

    Each iterate is a polynomial of the first one's Gram matrix times the first: the iteration is over the small square alone.
    """
    a, b, c = COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = (matrices.mT if tall else matrices).float()
    x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
    first = x @ x.mT
    identity = torch.eye(len(first[0]), device=x.device).expand_as(first)
    polynomial = identity
    for _ in range(steps):
        gram = polynomial @ first @ polynomial
        polynomial = (a * identity + b * gram + c * (gram @ gram)) @ polynomial
    x = polynomial @ x
    return (x.mT if tall else x).to(matrices.dtype)
