"""How much memory a plan needs on a GPU, and what its parts give up where that is too much. Each part estimates its own."""

from __future__ import annotations

from typing import Any

from df3d.errors import ModelError
from df3d.plugin.records import Memory, Workload
from df3d.plugin.schema import dump, parse
from df3d.recipe.plan import Plan, StagePlan

GB = 1e9
CONTEXT = 0.5 * GB  # of CUDA itself

Settings = list[tuple[str, Any]]  # values by path, as `--set` has them


def fit_into(plan: Plan, budget: float | None) -> tuple[Settings, list[str]]:
    """Settings with which every stage fits into `budget` bytes of memory, and in words what they give up; None: no budget.

    Raises ModelError when a stage cannot.
    """
    settings: Settings = []
    notes: list[str] = []
    for stage in plan.stages if budget is not None else ():
        found, given_up = _fit(plan, stage, budget or 0.0)
        settings += found
        notes += [f"stage {stage.name}, to fit into {(budget or 0.0) / GB:.1f} GB: {words}" for words in given_up]
    return settings, notes


def applied(plan: Plan, settings: Settings) -> Plan:
    """The plan with settings that `fit_into` found."""
    for path, value in settings:
        stage, _, rest = path.partition(".")
        place, _, key = rest.rpartition(".")
        if place == "guidance":  # of a run that an earlier version began
            place = f"guidance.{plan[stage].guidance[0].name}"
        part = plan[stage].parts[place]
        config: object = parse(part.plugin.config, {**dump(part.config), key: value}, f"{stage}.{place}")
        plan = plan.with_config(stage, place, config)
    return plan


def need(stage: StagePlan) -> dict[str, Memory]:
    """What each part of a stage takes, by its place; a part that says nothing is left out."""
    work = stage.cameras.plugin.ask("workload", stage.cameras.config) or Workload(1, 64)
    asked = {place: part.plugin.ask("memory", part.config, work) for place, part in stage.parts.items()}
    return {place: memory for place, memory in asked.items() if memory is not None}


def total(needs: dict[str, Memory]) -> float:
    """Bytes of a stage whose parts say what they take; nothing where none of them says anything."""
    return CONTEXT + sum(memory.bytes for memory in needs.values()) if needs else 0.0


def _fit(plan: Plan, stage: StagePlan, budget: float) -> tuple[Settings, list[str]]:
    """One stage: part after part gives up what it can, the cheapest first, until all fits."""
    chosen: dict[str, Any] = {}
    given_up: dict[str, str] = {}
    while total(needs := need(stage)) > budget:
        place = next((place for place, memory in needs.items() if memory.savings), None)
        if place is None:
            hints = [memory.hint for memory in needs.values() if memory.hint]
            raise ModelError(
                f"stage `{stage.name}` needs about {total(needs) / GB:.1f} GB at the least, and {budget / GB:.1f} GB are there",
                ", or ".join([*hints, "fewer views: --set cameras.views=1"]),
            )
        saving = needs[place].savings[0]
        settings = [(f"{stage.name}.{place}.{key}", value) for key, value in saving.settings.items()]
        chosen |= dict(settings)
        given_up[f"{place} {saving.words.split(':')[0]}"] = saving.words
        plan = applied(plan, settings)
        stage = plan[stage.name]
    return list(chosen.items()), list(given_up.values())
