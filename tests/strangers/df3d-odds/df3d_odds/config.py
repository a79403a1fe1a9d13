"""Options. No torch."""

from dataclasses import dataclass

from df3d import Workload, option


@dataclass(frozen=True, kw_only=True)
class LikenessConfig:
    """One picture, and how near its camera must be."""

    within: float = option(30.0, "degrees between a render's camera and the picture's, up to which the two are compared")
    scale: float = option(1000.0, "factor on the squared difference")


@dataclass(frozen=True, kw_only=True)
class FrontConfig:
    """Cameras that sway about the front."""

    views: int = option(2, "cameras a step", low=1, high=64)
    size: int = option(32, "height and width of a render, pixels", low=8, high=1024)
    sway: float = option(20.0, "degrees to either side")


def workload(config: FrontConfig) -> Workload:
    return Workload(config.views, config.size)


@dataclass(frozen=True, kw_only=True)
class SignConfig:
    """Signed descent."""

    shrink: float = option(1.0, "factor on every rate")


@dataclass(frozen=True, kw_only=True)
class BoxConfig:
    """A box."""

    width: float = option(0.8, "of its longest side, world units")
