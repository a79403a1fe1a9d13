"""What is given up to fit into memory, with parts whose needs are known; those of real models are beside their plugin."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from df3d import CamerasPlugin, FieldPlugin, GuidancePlugin, RendererPlugin, hookimpl, option
from df3d.errors import ModelError
from df3d.plugin.catalog import Catalog
from df3d.plugin.records import Memory, Saving, Workload
from df3d.recipe.compose import compose
from df3d.recipe.memory import CONTEXT, applied, fit_into, need, total
from df3d.recipe.plan import Plan
from df3d.recipe.recipe import from_table

GB = 1e9


@dataclass(frozen=True, kw_only=True)
class Size:
    size: int = option(4, "gigabytes", low=1, high=64)


def halves(config: Size, work: Workload) -> Memory:
    """As many GB as its size says, which it halves down to 1."""
    half = config.size // 2
    savings = (Saving({"size": half}, f"size: {half}"),) if half else ()
    return Memory(config.size * GB, savings, hint="buy more")


def keeps(config: Size, work: Workload) -> Memory:
    return Memory(config.size * GB, hint="rent more")


def rays(config: Size, work: Workload) -> Memory:
    return Memory(work.rays)


class Offers:
    @hookimpl
    def df3d_fields(self) -> Iterator[FieldPlugin]:
        both = {"summary": "A field", "target": "x:y", "provides": frozenset({"volume"})}
        yield FieldPlugin(name="firm", config=Size, memory=f"{__name__}:keeps", **both)
        yield FieldPlugin(name="light", **both)

    @hookimpl
    def df3d_renderers(self) -> Iterator[RendererPlugin]:
        both = {"summary": "A renderer", "target": "x:y", "needs": frozenset({"volume"})}
        yield RendererPlugin(name="soft", config=Size, memory=f"{__name__}:halves", **both)
        yield RendererPlugin(name="rays", config=Size, memory=f"{__name__}:rays", **both)
        yield RendererPlugin(name="light", **both)

    @hookimpl
    def df3d_guidance(self) -> Iterator[GuidancePlugin]:
        for name in ("one", "two"):
            yield GuidancePlugin(name=name, summary="A guidance", target="x:y", config=Size, memory=f"{__name__}:halves")
        yield GuidancePlugin(name="light", summary="A guidance", target="x:y")

    @hookimpl
    def df3d_cameras(self) -> Iterator[CamerasPlugin]:
        yield CamerasPlugin(name="silent", summary="Cameras", target="x:y")


@pytest.fixture(scope="module")
def known() -> Catalog:
    catalog = Catalog.discover()
    catalog.add(Offers())
    return catalog


def plan_of(catalog: Catalog, **parts: object) -> Plan:
    light = {part: {"use": "light"} for part in ("field", "renderer", "guidance")}
    return compose(from_table({"stage": [{"name": "s", "steps": 1, **light, **parts}]}), catalog)


def test_parts_that_say_nothing_take_nothing(known: Catalog) -> None:
    assert need(plan_of(known).stages[0]) == {}
    assert total({}) == 0
    assert total({"a": Memory(1 * GB), "b": Memory(2 * GB)}) == 3 * GB + CONTEXT == 3.5 * GB


def test_the_cameras_say_what_is_drawn_and_a_usual_size_stands_in_for_those_that_do_not(known: Catalog) -> None:
    orbit = plan_of(known, renderer={"use": "rays"}, cameras={"use": "orbit", "views": 3, "size": 50})
    assert need(orbit.stages[0])["renderer"].bytes == 3 * 50 * 50
    silent = plan_of(known, renderer={"use": "rays"}, cameras={"use": "silent"})
    assert need(silent.stages[0])["renderer"].bytes == 64 * 64


def test_without_a_budget_and_with_just_enough_nothing_is_given_up(known: Catalog) -> None:
    plan = plan_of(known, renderer={"use": "soft"})
    assert fit_into(plan, None) == ([], [])
    assert fit_into(plan, 4 * GB + CONTEXT) == ([], [])
    assert fit_into(plan, 4 * GB + CONTEXT - 1)[0] == [("s.renderer.size", 2)]


def test_the_renderer_gives_way_before_the_guidances_and_these_in_their_order(known: Catalog) -> None:
    plan = plan_of(known, renderer={"use": "soft"}, guidance=[{"use": "one"}, {"use": "two"}], field={"use": "firm"})
    assert list(need(plan.stages[0])) == ["renderer", "guidance.one", "guidance.two", "field"]
    settings, words = fit_into(plan, 10 * GB + CONTEXT)  # of 16: the renderer to 1, the first guidance to 1
    assert settings == [("s.renderer.size", 1), ("s.guidance.one.size", 1)]
    assert words == ["stage s, to fit into 10.5 GB: size: 1", "stage s, to fit into 10.5 GB: size: 1"]
    fitted = applied(plan, settings).stages[0]
    assert [part.config.size for part in fitted.guidance] == [1, 4]
    assert [table.options["size"] for table in fitted.stage.guidance] == [1, 4]
    assert plan.stages[0].guidance[0].config.size == 4


def test_what_cannot_be_less_is_said_with_what_each_part_advises(known: Catalog) -> None:
    plan = plan_of(known, renderer={"use": "soft"}, field={"use": "firm"})
    for budget in (5 * GB, 0.0):
        with pytest.raises(ModelError) as error:
            fit_into(plan, budget)
        assert error.value.message == f"stage `s` needs about 5.5 GB at the least, and {budget / GB:.1f} GB are there"
        assert error.value.hint == "buy more, or rent more, or fewer views: --set cameras.views=1"


def test_settings_of_an_older_run_name_the_guidance_by_its_place_alone(known: Catalog) -> None:
    plan = applied(plan_of(known, guidance={"use": "two"}), [("s.guidance.size", 2)])
    assert plan["s"].guidance[0].config.size == 2
    assert plan.recipe.stages[0].guidance[0].options == {"size": 2}


def test_each_stage_has_the_whole_budget(known: Catalog) -> None:
    stage = {"steps": 1, "field": {"use": "firm"}, "renderer": {"use": "soft"}, "guidance": {"use": "light"}}
    plan = compose(from_table({"stage": [{"name": "s", **stage}, {"name": "t", **stage}]}), known)
    assert fit_into(plan, 6 * GB + CONTEXT)[0] == [("s.renderer.size", 2), ("t.renderer.size", 2)]
