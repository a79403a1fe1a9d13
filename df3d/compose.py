"""From a recipe and the catalog to stages that are known to fit together, before torch is imported."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from df3d.catalog import Catalog
from df3d.config import dump, parse
from df3d.errors import ConfigError, PluginError, did_you_mean
from df3d.plugin import Component, FieldPlugin, GuidancePlugin, RendererPlugin, load_target
from df3d.recipe import PARTS, Choice, Recipe, Stage

if TYPE_CHECKING:
    import torch

    from df3d.interfaces import Field, Guidance, Renderer, Trainable


@dataclass(frozen=True)
class Chosen:
    """A plugin and its checked configuration."""

    plugin: Component
    config: Any

    def choice(self) -> Choice:
        """As a recipe writes it, every default included."""
        return Choice(self.plugin.name, dump(self.config))

    def build(self, **arguments: Any) -> Any:
        return self.plugin.load()(self.config, **arguments)


@dataclass(frozen=True)
class Parts:
    """What one stage works with."""

    field: Field
    renderer: Renderer
    guidance: Guidance
    optimizer: torch.optim.Optimizer

    def trainable(self) -> dict[str, Trainable]:
        """The parts that are optimised and saved, by name."""
        return trainable(field=self.field, renderer=self.renderer, guidance=self.guidance)


def trainable(**parts: Any) -> dict[str, Trainable]:
    """Those of the parts that learn."""
    from df3d.interfaces import Trainable

    return {name: part for name, part in parts.items() if isinstance(part, Trainable)}


@dataclass(frozen=True)
class StagePlan:
    """A checked stage; `build` makes its parts."""

    recipe: Stage
    field: Chosen
    renderer: Chosen
    guidance: Chosen

    @property
    def name(self) -> str:
        return self.recipe.name

    def full(self) -> Stage:
        """The recipe's stage with every default written out."""
        return dataclasses.replace(self.recipe, **{part: getattr(self, part).choice() for part in PARTS})

    def build(self, *, device: str, start_from: Field | None, seed: int) -> Parts:
        """Make the parts on `device`; the same seed makes the same ones."""
        import torch

        torch.manual_seed(seed)
        field = self.field.build(device=device, start_from=start_from)
        renderer = self.build_renderer(device=device)
        guidance = self.guidance.build(device=device)
        learning = trainable(field=field, renderer=renderer, guidance=guidance)
        groups = [group for part in learning.values() for group in part.parameter_groups()]
        options = self.recipe.optimizer
        for group in groups:
            group["base_lr"] = group.setdefault("lr", options.learning_rate)
        optimizer = torch.optim.Adam(groups, lr=options.learning_rate, betas=options.betas, eps=options.epsilon, fused=True)
        return Parts(field, renderer, guidance, optimizer)

    def build_renderer(self, *, device: str) -> Renderer:
        renderer: Renderer = self.renderer.build(device=device)
        return renderer


def compose(recipe: Recipe, catalog: Catalog) -> tuple[list[StagePlan], Recipe]:
    """Check everything a recipe says; returns its stages and the recipe with every default written out.

    Raises ConfigError or PluginError with the path of the mistake.
    """
    catalog.get("exporter", recipe.export.format)
    plans: list[StagePlan] = []
    for stage in recipe.stages:
        chosen = {part: _choose(part, getattr(stage, part), stage.name, catalog) for part in PARTS}
        plan = StagePlan(stage, **chosen)
        _check_fit(plan)
        _check_start(plan, plans)
        plans.append(plan)
    return plans, dataclasses.replace(recipe, stages=tuple(plan.full() for plan in plans))


def check_prompt(plans: list[StagePlan], text: str) -> list[str]:
    """What the guidances have to say of a prompt before anything is loaded.

    Raises PromptError when one of them cannot work with it.
    """
    notes: list[str] = []
    for plan in plans:
        plugin = plan.guidance.plugin
        if isinstance(plugin, GuidancePlugin) and plugin.check:
            notes += load_target(plugin.check, f"guidance `{plugin.name}`")(text)
    return list(dict.fromkeys(notes))


def check_ready(plans: list[StagePlan]) -> None:
    """Ask the guidances whether what they need is on this machine.

    Raises ModelError with what to do when it is not.
    """
    for plan in plans:
        plugin = plan.guidance.plugin
        if isinstance(plugin, GuidancePlugin) and plugin.ready:
            load_target(plugin.ready, f"guidance `{plugin.name}`")(plan.guidance.config)


def fit_into(plans: list[StagePlan], budget: float | None) -> tuple[list[tuple[str, Any]], list[str]]:
    """Settings with which every stage fits into `budget` bytes of memory, and in words what they give up; None: no budget.

    Raises ModelError when a stage cannot.
    """
    settings: list[tuple[str, Any]] = []
    notes: list[str] = []
    if budget is None:
        return settings, notes
    for plan in plans:
        plugin = plan.guidance.plugin
        if isinstance(plugin, GuidancePlugin) and plugin.fit:
            found, given_up = load_target(plugin.fit, f"guidance `{plugin.name}`")(
                plan.guidance.config, plan.full().table(), budget
            )
            settings += [(f"{plan.name}.{path}", value) for path, value in found.items()]
            notes += [f"stage {plan.name}, to fit into {budget / 1e9:.1f} GB: {words}" for words in given_up]
    return settings, notes


def _choose(part: str, choice: Choice, stage: str, catalog: Catalog) -> Chosen:
    plugin = catalog.get(part, choice.use)
    return Chosen(plugin, parse(plugin.config, choice.options, f"{stage}.{part}"))


def _check_fit(plan: StagePlan) -> None:
    field, renderer, guidance = plan.field.plugin, plan.renderer.plugin, plan.guidance.plugin
    assert isinstance(field, FieldPlugin)
    assert isinstance(renderer, RendererPlugin)
    assert isinstance(guidance, GuidancePlugin)
    if missing := renderer.needs - field.provides:
        raise PluginError(
            f"renderer `{renderer.name}` in stage `{plan.name}` needs a field with {_words(missing)}; "
            f"`{field.name}` has {_words(field.provides)}",
            "`df3d plugins show NAME` says what a part needs and offers",
        )
    if missing := guidance.needs - renderer.outputs:
        raise PluginError(
            f"guidance `{guidance.name}` in stage `{plan.name}` needs {_words(missing)} from the renderer; "
            f"`{renderer.name}` puts out {_words(renderer.outputs)}",
            "`df3d plugins show NAME` says what a part needs and offers",
        )
    for penalty, output in plan.recipe.penalties.NEEDS.items():
        weight = getattr(plan.recipe.penalties, penalty)
        if (weight.start or weight.end) and output not in renderer.outputs:
            raise ConfigError(
                f"`{plan.name}.penalties.{penalty}` needs {output} from the renderer, which `{renderer.name}` does not put out",
                "set it to 0 or choose another renderer",
            )


def _check_start(plan: StagePlan, before: list[StagePlan]) -> None:
    start = plan.recipe.start_from
    if start is None:
        return
    names = [other.name for other in before]
    if start not in names:
        raise ConfigError(f"`{plan.name}.start_from` names no earlier stage: `{start}`", did_you_mean(start, names))
    field, previous = plan.field.plugin, before[names.index(start)].field.plugin
    assert isinstance(field, FieldPlugin)
    assert isinstance(previous, FieldPlugin)
    if not field.starts_from & previous.provides:
        raise PluginError(
            f"field `{field.name}` cannot start from `{previous.name}`: it takes {_words(field.starts_from)}",
            "remove `start_from` or choose another field",
        )


def _words(names: frozenset[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"
