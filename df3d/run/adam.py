"""The optimiser `adam`. Its options are read before torch loads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from df3d.plugin.schema import option

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, kw_only=True)
class AdamConfig:
    """Adam (arXiv 1412.6980), with the betas and epsilon that hash grids want (Instant-NGP, arXiv 2201.05989, section 4)."""

    learning_rate: float = option(0.01, "for parameter groups without a rate of their own")
    betas: tuple[float, float] = option((0.9, 0.99), "decay of the moments")
    epsilon: float = option(1e-15, "added to the root of the second moment")

    def __post_init__(self) -> None:
        if self.learning_rate < 0 or self.epsilon < 0 or not all(0 <= beta < 1 for beta in self.betas):
            raise ValueError("`learning_rate` and `epsilon` must be at least 0, `betas` from 0 to below 1")


def adam(config: AdamConfig, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """torch's fused Adam over parameter groups."""
    import torch

    return torch.optim.Adam(groups, lr=config.learning_rate, betas=config.betas, eps=config.epsilon, fused=True)
