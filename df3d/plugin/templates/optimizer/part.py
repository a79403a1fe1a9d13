"""An optimiser: a function from parameter groups, each with its `lr`, to a torch optimiser."""

from typing import Any

import torch
from df3d_my_part.config import MyPartConfig


def my_part(config: MyPartConfig, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """Gradient descent with momentum; groups without a rate of their own get 0.01."""
    return torch.optim.SGD(groups, lr=0.01, momentum=config.momentum)
