"""A guidance without a model, for tests of the loop around it: it wants every render grey."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from df3d import GuidancePlugin, hookimpl
from df3d.plugin.catalog import Catalog
from df3d.prompt import Prompt
from df3d.recipe.compose import compose
from df3d.recipe.plan import StagePlan
from df3d.recipe.recipe import from_table
from df3d.schedule import Step
from df3d.types import Cameras, GuidanceStep, RenderOutput


class Grey:
    """The mean squared distance to grey; `spoil` lists the steps at which it is not a number."""

    spoil: set[int] = set()

    def __init__(self, config: Any, *, device: str = "cpu") -> None: ...

    def encode(self, prompt: Prompt) -> None: ...

    def step(self, render: RenderOutput, cameras: Cameras, encoded: None, step: Step) -> GuidanceStep:
        loss: Tensor = (render.rgb - 0.5).square().mean()
        return GuidanceStep(loss * torch.nan if step.index in self.spoil else loss)


class Guides:
    """A plugin that has the guidance `grey`, which judges views in groups of `group`."""

    def __init__(self, group: int = 1) -> None:
        self._group = group

    @hookimpl
    def df3d_guidance(self) -> list[GuidancePlugin]:
        return [GuidancePlugin(name="grey", summary="Wants every render grey", target="guides:Grey", group=self._group)]


def stage(*, group: int = 1, **changes: Any) -> StagePlan:
    """A small stage that `grey` guides, with as many views as it judges together; `changes` to its table."""
    catalog = Catalog.discover()
    catalog.add(Guides(group))
    table: dict[str, Any] = {
        "name": "coarse", "steps": 10, "field": {"use": "hashgrid", "levels": 2, "log2_table": 8, "hidden": 8},
        "renderer": {"use": "raymarch", "samples": 16, "occupancy": 8}, "guidance": {"use": "grey"},
        "cameras": {"use": "orbit", "views": group, "size": 16}, **changes,
    }  # fmt: skip
    return compose(from_table({"stage": [table]}), catalog).stages[0]
