"""Its options. No torch here: they are read when plugins are listed."""

from dataclasses import dataclass

from df3d import Workload, option


@dataclass(frozen=True, kw_only=True)
class MyPartConfig:
    """A ring of cameras."""

    views: int = option(4, "cameras a step", low=1, high=256)
    size: int = option(64, "height and width of a render, pixels", low=1, high=4096)
    elevation: float = option(20.0, "of all cameras, degrees")


def workload(config: MyPartConfig) -> Workload:
    """What a step asks of the other parts, for estimates of memory."""
    return Workload(config.views, config.size)
