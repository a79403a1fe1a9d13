"""Attention over all views of one object at once, as in MVDream (arXiv 2308.16512, section 3.1)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from diffusers.models.attention_processor import AttnProcessor2_0
from torch import Tensor


class JointAttention(AttnProcessor2_0):
    """Self-attention over the tokens of all `views` of an object: (B V, L, C) is looked at as (B, V L, C)."""

    def __init__(self, views: int) -> None:
        super().__init__()
        self.views = views

    def __call__(self, attn: Any, hidden_states: Tensor, *given: Any, **more: Any) -> Tensor:
        count, length, width = hidden_states.shape
        together = hidden_states.reshape(count // self.views, self.views * length, width)
        found: Tensor = super().__call__(attn, together, *given, **more)
        return found.reshape(count, length, -1)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Each row looks at itself alone."""
        views, self.views = self.views, 1
        try:
            yield
        finally:
            self.views = views


def join_views(unet: Any, views: int) -> JointAttention:
    """Let a UNet's self-attention look at every `views` rows of a batch together."""
    joint = JointAttention(views)
    for name, module in unet.named_modules():
        if name.endswith("attn1"):
            module.set_processor(joint)
    return joint
