"""Options of the splats. No torch."""

from dataclasses import dataclass

from df3d import option


@dataclass(frozen=True, kw_only=True)
class SplatsConfig:
    """A cloud of round 3D Gaussians that grows and is pruned."""

    count: int = option(200, "Gaussians at the start", low=1, high=100_000)
    most: int = option(400, "Gaussians at the most", low=1, high=1_000_000)
    size: float = option(0.08, "standard deviation at the start, world units")
    densify_every: int = option(5, "steps between two changes of their number", low=1, high=100_000)
    faint: float = option(0.02, "opacity below which one is pruned")
    rate: float = option(0.02, "learning rate")


@dataclass(frozen=True, kw_only=True)
class SplatterConfig:
    """Drawing splats."""

    background: float = option(0.5, "grey level behind them, in [0, 1]")
