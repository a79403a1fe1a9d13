"""From a recipe and the catalog to a plan whose parts are known to fit together, before torch is imported."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import TypeVar

from df3d.errors import ConfigError, PluginError, PromptError, did_you_mean
from df3d.plugin.catalog import Catalog, Shelf
from df3d.plugin.records import Component, ExporterPlugin, PenaltyPlugin
from df3d.plugin.schema import dump, parse
from df3d.prompt import Prompt
from df3d.recipe.plan import ConfiguredPart, Plan, StagePlan
from df3d.recipe.recipe import PartTable, Recipe, Stage
from df3d.schedule import Schedule

Record = TypeVar("Record", bound=Component)
_SHOW = "`df3d plugins show NAME` says what a part needs and offers"


def compose(recipe: Recipe, catalog: Catalog) -> Plan:
    """Check everything a recipe says; returns its plan, every default written out.

    Raises ConfigError or PluginError with the path of the mistake.
    """
    named = catalog.exporters.get(recipe.export.format) if recipe.export.format else None
    stages: list[StagePlan] = []
    for stage in recipe.stages:
        plan = _configured(stage, catalog)
        _check_fit(plan)
        _check_penalties(plan)
        _check_views(plan)
        _check_start(plan, stages)
        stages.append(plan)
    exporter = named or usual_exporter(stages[-1], catalog)
    check_format(stages[-1], exporter)
    export = dataclasses.replace(recipe.export, format=exporter.name)
    full = dataclasses.replace(recipe, stages=tuple(plan.stage for plan in stages), export=export)
    return Plan(full, tuple(stages), exporter)


def usual_exporter(plan: StagePlan, catalog: Catalog) -> ExporterPlugin:
    """The exporter for what comes of a stage, where nobody names one.

    Raises PluginError when none offers itself.
    """
    for exporter in catalog.exporters:
        if exporter.usual_for & plan.makes:
            return exporter
    raise PluginError(f"no exporter offers itself for {words(plan.makes)}", "name one: `df3d plugins` lists the exporters")


def check_format(plan: StagePlan, exporter: ExporterPlugin) -> None:
    """Raises PluginError when an exporter cannot take what comes of a stage."""
    if not exporter.takes & plan.makes:
        part = plan.field or plan.source
        assert part is not None
        raise PluginError(
            f"exporter `{exporter.name}` takes {words(exporter.takes)}; "
            f"{part.plugin.kind} `{part.name}` of stage `{plan.name}` makes {words(plan.makes)}",
            "choose another format: `df3d plugins` lists the exporters",
        )


def check_prompt(plan: Plan, prompt: Prompt) -> list[str]:
    """What the parts have to say of a prompt before anything is loaded.

    Raises PromptError when one of them cannot work with it, or none can use what it holds.
    """
    notes: list[str] = []
    for stage in plan.stages:
        for part in stage.judges:
            kind, name, accepts = part.plugin.kind, part.name, part.plugin.accepts
            if "text" not in accepts and not accepts & prompt.offers:
                lacking = "a picture" if "image" in accepts else "a mesh"
                option = "--image FILE" if "image" in accepts else "--mesh FILE"
                raise PromptError(f"{kind} `{name}` needs {lacking}, and the prompt has none", f"give one with {option}")
            if "text" in accepts:
                notes += part.plugin.ask("check", prompt.text) or []
    useless = prompt.offers - frozenset().union(*(stage.accepts for stage in plan.stages))
    if starts_from_mesh(plan.stages[0]):
        useless -= {"mesh"}
    if useless:
        what = "a picture" if "image" in useless else "a start mesh"
        names = dict.fromkeys(part.name for stage in plan.stages for part in stage.judges)
        raise PromptError(
            f"nothing in recipe `{plan.recipe.name}` can use {what}: "
            + "; ".join(f"`{name}` takes {words(_accepts(plan, name))}" for name in names),
            "leave it out, or choose another recipe or --guidance",
        )
    return list(dict.fromkeys(notes))


def starts_from_mesh(plan: StagePlan) -> bool:
    """Whether a stage's field can start from the prompt's mesh."""
    return bool(plan.stage.start_from is None and plan.field and "surface" in plan.field.plugin.starts_from)


def check_ready(plan: Plan) -> None:
    """Ask all parts whether what they need is on this machine.

    Raises ModelError with what to do when it is not.
    """
    for stage in plan.stages:
        for part in stage.parts.values():
            part.plugin.ask("ready", part.config)


def _configured(stage: Stage, catalog: Catalog) -> StagePlan:
    """A stage's parts with their records and options, and the stage with every default written out."""

    def find(shelf: Shelf[Record], table: PartTable, place: str) -> ConfiguredPart[Record]:
        plugin = shelf.get(table.use)
        return ConfiguredPart(plugin, parse(plugin.config, table.options, f"{stage.name}.{place}"))

    field = find(catalog.fields, stage.field, "field") if stage.field else None
    renderer = find(catalog.renderers, stage.renderer, "renderer") if stage.renderer else None
    source = find(catalog.sources, stage.source, "source") if stage.source else None
    several = len(stage.guidance) > 1
    guidance = tuple(find(catalog.guidance, one, f"guidance.{one.use}" if several else "guidance") for one in stage.guidance)
    cameras = find(catalog.cameras, stage.cameras, "cameras")
    optimizer = find(catalog.optimizers, stage.optimizer, "optimizer")
    penalties = tuple((_penalty(name, stage.name, catalog), weight) for name, weight in stage.penalties.items() if _ever(weight))
    full = dataclasses.replace(
        stage,
        field=stage.field and _full(stage.field, field),
        renderer=stage.renderer and _full(stage.renderer, renderer),
        source=stage.source and _full(stage.source, source),
        guidance=tuple(_full(table, part) for table, part in zip(stage.guidance, guidance, strict=True)),
        cameras=_full(stage.cameras, cameras),
        optimizer=_full(stage.optimizer, optimizer),
        penalties={plugin.name: weight for plugin, weight in penalties},
    )
    return StagePlan(full, field, renderer, guidance, source, cameras, optimizer, penalties)


Table = TypeVar("Table", bound=PartTable)


def _full(table: Table, part: ConfiguredPart[Record] | None) -> Table:
    """A part's table with every default written out."""
    assert part is not None
    return dataclasses.replace(table, options=dump(part.config))


def _penalty(name: str, stage: str, catalog: Catalog) -> PenaltyPlugin:
    try:
        return catalog.penalties.get(name)
    except PluginError as error:
        raise ConfigError(f"unknown key `{stage}.penalties.{name}`: {error.message}", error.hint) from None


def _ever(weight: Schedule) -> bool:
    """Whether a weight is other than 0 at any step."""
    return any(weight.ends)


def _check_fit(plan: StagePlan) -> None:
    if plan.source and (plan.field is None) != (plan.source.plugin.makes != "state"):
        makes, name = plan.source.plugin.makes, plan.source.name
        raise ConfigError(
            f"source `{name}` of stage `{plan.name}` makes {'the state of a field' if makes == 'state' else makes}",
            "give the stage the `field` that loads it" if makes == "state" else "remove `field`",
        )
    if plan.field is None or plan.renderer is None:
        return
    field, renderer = plan.field.plugin, plan.renderer.plugin
    if missing := renderer.needs - field.provides:
        raise PluginError(
            f"renderer `{renderer.name}` in stage `{plan.name}` needs a field with {words(missing)}; "
            f"`{field.name}` has {words(field.provides)}",
            _SHOW,
        )
    for guidance in plan.guidance:
        if absent := guidance.plugin.needed(guidance.config) - renderer.outputs:
            raise PluginError(
                f"guidance `{guidance.name}` in stage `{plan.name}` needs {words(absent)} from the renderer; "
                f"`{renderer.name}` puts out {words(renderer.outputs)}",
                _SHOW,
            )


def _check_penalties(plan: StagePlan) -> None:
    for penalty, _ in plan.penalties:
        if plan.renderer and (missing := penalty.needs - plan.renderer.plugin.outputs):
            raise ConfigError(
                f"`{plan.name}.penalties.{penalty.name}` needs {words(missing)} from the renderer, "
                f"which `{plan.renderer.name}` does not put out",
                "set it to 0 or choose another renderer",
            )


def _check_views(plan: StagePlan) -> None:
    groups = {guidance.plugin.group for guidance in plan.guidance} - {1}
    if len(groups) > 1:
        raise PluginError(
            f"the guidances of stage `{plan.name}` judge groups of {words(map(str, groups))} views, which cannot be one batch",
            "give them stages of their own",
        )
    if groups and not plan.cameras.plugin.groups:
        raise PluginError(
            f"cameras `{plan.cameras.name}` in stage `{plan.name}` make no groups of views, and its guidance needs them",
            "choose other cameras",
        )


def _check_start(plan: StagePlan, before: list[StagePlan]) -> None:
    start = plan.stage.start_from
    if start is None:
        return
    names = [other.name for other in before]
    if start not in names:
        raise ConfigError(f"`{plan.name}.start_from` names no earlier stage: `{start}`", did_you_mean(start, names))
    previous = before[names.index(start)]
    if plan.field is None:
        raise ConfigError(f"stage `{plan.name}` has no field that could start from another", "remove `start_from`")
    if not plan.field.plugin.starts_from & previous.provides:
        origin = previous.field or previous.source
        raise PluginError(
            f"field `{plan.field.name}` cannot start from `{origin.name if origin else start}`: "
            f"it takes {words(plan.field.plugin.starts_from)}",
            "remove `start_from` or choose another field",
        )


def _accepts(plan: Plan, name: str) -> frozenset[str]:
    parts = [part for stage in plan.stages for part in stage.judges if part.name == name]
    return frozenset().union(*(part.plugin.accepts for part in parts))


def words(names: Iterable[str]) -> str:
    """Names in one order, with commas; "nothing" for none."""
    return ", ".join(sorted(names)) or "nothing"
