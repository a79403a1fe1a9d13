"""A penalty: a function of a render, and of the field if it wants, to one number. The recipe's weight is not in it."""

from torch import Tensor

from df3d.types import RenderOutput


def my_part(render: RenderOutput, field: object) -> Tensor:
    """Mean of (0.5 - brightness)^2 over the pixels that are darker than that."""
    return (0.5 - render.rgb.mean(-1)).clamp_min(0).square().mean()
