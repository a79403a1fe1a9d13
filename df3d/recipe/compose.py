"""From a recipe and the catalog to a plan whose parts are known to fit together, before torch is imported."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

from df3d.errors import ConfigError, PluginError
from df3d.plugin.catalog import Catalog, Shelf
from df3d.plugin.records import Component, ExporterPlugin, PenaltyPlugin
from df3d.plugin.schema import dump, parse
from df3d.recipe.checks import check_fit, check_format, check_penalties, check_start, check_views, words
from df3d.recipe.plan import ConfiguredPart, Plan, StagePlan
from df3d.recipe.recipe import PartTable, Recipe, Stage
from df3d.schedule import Schedule

Record = TypeVar("Record", bound=Component)


def compose(recipe: Recipe, catalog: Catalog) -> Plan:
    """Check everything a recipe says; returns its plan, every default written out.

    Raises ConfigError or PluginError with the path of the mistake.
    """
    named = catalog.exporters.get(recipe.export.format) if recipe.export.format else None
    stages: list[StagePlan] = []
    for stage in recipe.stages:
        plan = _configured(stage, catalog)
        check_fit(plan)
        check_penalties(plan)
        check_views(plan)
        check_start(plan, stages)
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
