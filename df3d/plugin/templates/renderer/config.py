"""Its options. No torch here: they are read when plugins are listed."""

from dataclasses import dataclass

from df3d import option


@dataclass(frozen=True, kw_only=True)
class MyPartConfig:
    """Volume rendering."""

    samples: int = option(64, "along each ray through the unit ball", low=1, high=4096)
    background: float = option(1.0, "grey level behind the object, in [0, 1]")
