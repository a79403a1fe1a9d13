"""A recipe that is known to work: every part with its record and its checked options. `compose` makes it, a run follows it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Generic, TypeVar

from df3d.plugin.records import (
    CamerasPlugin,
    Component,
    ExporterPlugin,
    FieldPlugin,
    GuidancePlugin,
    OptimizerPlugin,
    PenaltyPlugin,
    RendererPlugin,
    SourcePlugin,
)
from df3d.plugin.schema import dump
from df3d.recipe.recipe import Recipe, Stage
from df3d.schedule import Schedule
from df3d.types import Output

Record = TypeVar("Record", bound=Component)


@dataclass(frozen=True)
class ConfiguredPart(Generic[Record]):
    """A part's record and its checked options."""

    plugin: Record
    config: object

    @property
    def name(self) -> str:
        return self.plugin.name


@dataclass(frozen=True)
class StagePlan:
    """A checked stage. One that optimises has a field, a renderer and guidances; the other kind has a source."""

    stage: Stage  # every default written out
    field: ConfiguredPart[FieldPlugin] | None
    renderer: ConfiguredPart[RendererPlugin] | None
    guidance: tuple[ConfiguredPart[GuidancePlugin], ...]
    source: ConfiguredPart[SourcePlugin] | None
    cameras: ConfiguredPart[CamerasPlugin]
    optimizer: ConfiguredPart[OptimizerPlugin]
    penalties: tuple[tuple[PenaltyPlugin, Schedule], ...]

    @property
    def name(self) -> str:
        return self.stage.name

    @property
    def parts(self) -> dict[str, ConfiguredPart[Component]]:
        """The parts that take memory, by their place in a recipe, those first that give it up most cheaply."""
        named: dict[str, ConfiguredPart[Component]] = {}
        if self.renderer:
            named["renderer"] = self.renderer  # type: ignore[assignment]
        for guidance in self.guidance:
            named[f"guidance.{guidance.name}"] = guidance  # type: ignore[assignment]
        for place, part in (("source", self.source), ("field", self.field)):
            if part:
                named[place] = part  # type: ignore[assignment]
        return named

    @property
    def needs(self) -> frozenset[Output]:
        """The outputs that the guidances use, at any step."""
        wanted: frozenset[Output] = frozenset({"rgb", "opacity"})
        return wanted.union(*(guidance.plugin.needed(guidance.config) for guidance in self.guidance))

    @property
    def group(self) -> int:
        """How many views of one moment the guidances judge together."""
        return max((guidance.plugin.group for guidance in self.guidance), default=1)

    @property
    def accepts(self) -> frozenset[str]:
        """What of a prompt its parts can use."""
        return frozenset().union(*(part.plugin.accepts for part in self.judges))

    @property
    def judges(self) -> list[ConfiguredPart[GuidancePlugin] | ConfiguredPart[SourcePlugin]]:
        """The parts that read the prompt."""
        return [*self.guidance, *([self.source] if self.source else [])]

    @property
    def provides(self) -> frozenset[str]:
        """The capabilities of what the stage leaves, for a later one to start from."""
        if self.field:
            return self.field.plugin.provides
        kind = self.source.plugin.makes if self.source else ""
        return frozenset({"surface" if kind == "mesh" else kind})

    @property
    def makes(self) -> frozenset[str]:
        """The kinds of asset that come of it."""
        if self.field:
            return self.field.plugin.makes
        return frozenset({self.source.plugin.makes} if self.source else set())


@dataclass(frozen=True)
class Plan:
    """A checked recipe."""

    recipe: Recipe  # every default written out
    stages: tuple[StagePlan, ...]
    exporter: ExporterPlugin

    def __getitem__(self, name: str) -> StagePlan:
        return next(stage for stage in self.stages if stage.name == name)

    def with_config(self, stage: str, place: str, config: object) -> Plan:
        """The plan with other options for one part, at its place as in `StagePlan.parts`."""
        plan, part = self[stage], place.split(".")[0]
        if part == "guidance":
            index = [guidance.name for guidance in plan.guidance].index(place.partition(".")[2])
            changed: object = tuple(
                dataclasses.replace(one, config=config) if i == index else one for i, one in enumerate(plan.guidance)
            )
            tables: object = tuple(
                dataclasses.replace(one, options=dump(config)) if i == index else one for i, one in enumerate(plan.stage.guidance)
            )
        else:
            changed = dataclasses.replace(getattr(plan, part), config=config)
            tables = dataclasses.replace(getattr(plan.stage, part), options=dump(config))
        new = dataclasses.replace(plan, **{part: changed}, stage=dataclasses.replace(plan.stage, **{part: tables}))  # type: ignore[arg-type]
        stages = tuple(new if one.name == stage else one for one in self.stages)
        recipe = dataclasses.replace(self.recipe, stages=tuple(one.stage for one in stages))
        return dataclasses.replace(self, stages=stages, recipe=recipe)
