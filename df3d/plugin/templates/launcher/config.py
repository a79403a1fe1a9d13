"""Its options. No torch here: they are read when plugins are listed."""

from dataclasses import dataclass

from df3d import option


@dataclass(frozen=True, kw_only=True)
class MyPartConfig:
    """Polite processes."""

    niceness: int = option(10, "how far they give way, 0 to 19", low=0, high=19)
