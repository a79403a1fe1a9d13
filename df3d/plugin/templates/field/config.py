"""Its options. No torch here: they are read when plugins are listed."""

from dataclasses import dataclass

from df3d import option


@dataclass(frozen=True, kw_only=True)
class MyPartConfig:
    """A soft ball."""

    radius: float = option(0.5, "where the density falls to half, world units")
    density: float = option(50.0, "in the middle, per world unit")
    rate: float = option(0.01, "learning rate")
