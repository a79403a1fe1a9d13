"""Rows of a parameter that come and go while it is optimised, for fields that change their own size."""

from __future__ import annotations

import torch
from torch import Tensor


@torch.no_grad()
def resize_rows(optimizer: torch.optim.Optimizer, parameter: Tensor, kept: Tensor, added: Tensor) -> None:
    """Keep the rows `kept` (K,), indices, of a parameter (N, ...), and put the rows `added` (A, ...) behind them.

    The parameter stays the same object. Its gradient and the optimiser's moments go with the rows that stay, and are zero for
    new ones, as in 3D Gaussian Splatting (arXiv 2308.04079, section 5.2). Nothing may hold on to the graph of the step
    after it: torch remembers a parameter's shape as long as a graph that uses it is there.
    """
    before = parameter.shape

    def changed(values: Tensor) -> Tensor:
        return torch.cat([values[kept], values.new_zeros(len(added), *before[1:])])

    state = optimizer.state.get(parameter, {})
    for name, value in state.items():
        if isinstance(value, Tensor) and value.shape == before:
            state[name] = changed(value)
    gradient = None if parameter.grad is None else changed(parameter.grad)
    parameter.grad = None
    parameter.data = torch.cat([parameter.data[kept], added.to(parameter.data)])
    parameter.grad = gradient
