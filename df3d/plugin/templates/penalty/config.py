"""It has no options: recipes give its weight, as in `penalties.my-part = 0.1`."""

from df3d import NoConfig as MyPartConfig

__all__ = ["MyPartConfig"]
