"""Its options. No torch here: they are read when plugins are listed."""

from dataclasses import dataclass

from df3d import option


@dataclass(frozen=True, kw_only=True)
class MyPartConfig:
    """A bumpy ball."""

    bumps: float = option(0.1, "their height, as a share of the radius")
    rings: int = option(24, "of vertices from pole to pole", low=3, high=1024)
