"""Its options. No torch here: they are read when plugins are listed."""

from dataclasses import dataclass

from df3d import option


@dataclass(frozen=True, kw_only=True)
class MyPartConfig:
    """Gradient descent."""

    momentum: float = option(0.9, "share of the last step in the next one")
