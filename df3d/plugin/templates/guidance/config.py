"""Its options. No torch here: they are read when plugins are listed."""

from dataclasses import dataclass

from df3d import option


@dataclass(frozen=True, kw_only=True)
class MyPartConfig:
    """One colour for everything."""

    color: tuple[float, float, float] = option((1.0, 0.0, 0.0), "the colour that is wanted, sRGB in [0, 1]")
