"""What one stage works with, built from its plan."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from df3d.protocols import CameraSampler, Field, Frugal, Guidance, Noted, Penalty, Renderer, Trainable
from df3d.recipe.plan import StagePlan
from df3d.run.kept import KeptGuidance
from df3d.schedule import Schedule, Step
from df3d.types import Asset, Output


@dataclass(frozen=True)
class Parts:
    """The parts of a stage that optimises, by name where there may be several."""

    field: Field
    renderer: Renderer
    guidance: dict[str, tuple[Guidance[Any], Schedule]]  # and its weight
    cameras: CameraSampler
    penalties: dict[str, tuple[Penalty, Schedule, frozenset[Output]]]  # its weight, and what it needs of the render
    optimizer: torch.optim.Optimizer

    def trainable(self) -> dict[str, Trainable]:
        """The parts that are optimised and saved, by the names that checkpoints give them."""
        return _trainable(self.field, self.renderer, {name: guidance for name, (guidance, _) in self.guidance.items()})

    def save_memory(self) -> str:
        """One rung down, taken by the first part that can; "" at the bottom."""
        for part in (self.renderer, *(guidance for guidance, _ in self.guidance.values()), self.field):
            if isinstance(part, Frugal) and (how := part.save_memory()):
                return how
        return ""

    def notes(self) -> list[str]:
        """What the parts do in place of something better, a sentence each."""
        parts = (self.field, self.renderer, *(guidance for guidance, _ in self.guidance.values()))
        return [note for part in parts if isinstance(part, Noted) for note in part.notes]

    def needs(self, step: Step, always: frozenset[Output]) -> frozenset[Output]:
        """The outputs that this step uses."""
        return always.union(*(needs for _, weight, needs in self.penalties.values() if weight.at(step)))


def build(plan: StagePlan, *, device: str, start_from: Field | Asset | None, seed: int, kept: KeptGuidance | None = None) -> Parts:
    """Make the parts on `device`, guidances from `kept` where it has them; the same seed makes the same ones."""
    field, renderer = build_drawing(plan, device=device, start_from=start_from, seed=seed)
    guidance = (KeptGuidance() if kept is None else kept).of(plan, device)
    groups = [group for part in _trainable(field, renderer, guidance).values() for group in part.parameter_groups()]
    optimizer = plan.optimizer.plugin.build(plan.optimizer.config, groups)
    for group in optimizer.param_groups:
        group["base_lr"] = group["lr"]
    weights = {table.use: table.weight for table in plan.stage.guidance}
    return Parts(
        field,
        renderer,
        {name: (one, weights[name]) for name, one in guidance.items()},
        plan.cameras.plugin.build(plan.cameras.config, group=plan.group),
        {plugin.name: (plugin.build(), weight, plugin.needs) for plugin, weight in plan.penalties},
        optimizer,
    )


def build_drawing(plan: StagePlan, *, device: str, start_from: Field | Asset | None, seed: int) -> tuple[Field, Renderer]:
    """The field and the renderer alone, as `build` makes them."""
    assert plan.field is not None
    assert plan.renderer is not None
    torch.manual_seed(seed)
    field = plan.field.plugin.build(plan.field.config, device=device, start_from=start_from)
    return field, plan.renderer.plugin.build(plan.renderer.config, device=device)


def _trainable(field: Field, renderer: Renderer, guidance: dict[str, Guidance[Any]]) -> dict[str, Trainable]:
    named: dict[str, Any] = {"field": field, "renderer": renderer}
    named |= {"guidance" if len(guidance) == 1 else f"guidance-{name}": one for name, one in guidance.items()}
    return {name: part for name, part in named.items() if isinstance(part, Trainable)}
