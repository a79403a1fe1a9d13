"""Its options. No torch here: they are read when plugins are listed."""

from dataclasses import dataclass

from df3d import option


@dataclass(frozen=True, kw_only=True)
class MyPartConfig:
    """Writing OFF."""

    digits: int = option(6, "of each coordinate, behind the point", low=1, high=17)
