"""Whether the parts of a recipe fit together, and with a prompt: mistakes are found here, before torch is imported."""

from __future__ import annotations

from collections.abc import Iterable

from df3d.errors import ConfigError, PluginError, PromptError, did_you_mean
from df3d.plugin.records import ExporterPlugin
from df3d.prompt import Prompt
from df3d.recipe.plan import Plan, StagePlan

_SHOW = "`df3d plugins show NAME` says what a part needs and offers"


def check_fit(plan: StagePlan) -> None:
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


def check_penalties(plan: StagePlan) -> None:
    for penalty, _ in plan.penalties:
        if plan.renderer and (missing := penalty.needs - plan.renderer.plugin.outputs):
            raise ConfigError(
                f"`{plan.name}.penalties.{penalty.name}` needs {words(missing)} from the renderer, "
                f"which `{plan.renderer.name}` does not put out",
                "set it to 0 or choose another renderer",
            )


def check_views(plan: StagePlan) -> None:
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


def check_start(plan: StagePlan, before: list[StagePlan]) -> None:
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
                notes += part.plugin.ask("check", prompt.text, part.config) or []
    useless = prompt.offers - frozenset().union(*(stage.accepts for stage in plan.stages))
    if starts_from_mesh(plan.stages[0]):
        useless -= {"mesh"}
    if useless:
        what = {"image": "a picture", "mesh": "a start mesh", "negative": "a negative prompt"}[min(useless)]
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
