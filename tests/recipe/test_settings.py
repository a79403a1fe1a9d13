"""`--set`: which numbers a path means, and what is said of one that means none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from df3d import SourcePlugin, hookimpl, option
from df3d.errors import ConfigError, Df3dError
from df3d.plugin.catalog import Catalog
from df3d.recipe import recipe as recipes
from df3d.recipe.compose import compose
from df3d.recipe.settings import override, parse_setting
from df3d.schedule import Schedule


def test_override_reaches_every_stage_that_has_the_key_or_the_one_named(mini: Path, catalog: Catalog) -> None:
    text = mini.read_text()
    mini.write_text(text + text.split("\n", 2)[2].replace('"coarse"', '"fine"'))
    recipe = recipes.read(mini)
    both = override(recipe, [("field.levels", 8)], catalog)
    assert [stage.field.options["levels"] for stage in both.stages] == [8, 8]
    one = override(recipe, [("fine.field.levels", 8), ("fine.steps", 9)], catalog)
    assert [stage.field.options["levels"] for stage in one.stages] == [4, 8]
    assert [stage.steps for stage in one.stages] == [3, 9]
    nested = override(recipe, [("renderer.shading.ambient", 0.3), ("export.faces", 10)], catalog)
    assert nested.stages[0].renderer.options["shading"] == {"ambient": 0.3}
    assert nested.export.faces == 10
    scheduled = override(recipe, [("penalties.opacity", {"start": 0.0, "end": 1.0})], catalog)
    assert scheduled.stages[0].penalties["opacity"] == Schedule(0.0, 1.0)


@pytest.mark.parametrize(
    ("key", "value", "message", "hint"),
    [
        ("field.levles", 8, "unknown key `field.levles`", "`field.levels`"),
        ("coarse.field.levles", 8, "unknown key `coarse.field.levles`", "`coarse.field.levels`"),
        ("stpes", 8, "unknown key `stpes`", "`steps`"),
        ("export.face", 8, "unknown key `export.face`", "`faces`"),
        ("field.levels", "many", "`coarse.field.levels` must be a whole number, not `many`", ""),
        ("field.levels", 99, "`coarse.field.levels` must be between 1 and 32, not 99", ""),
        ("renderer.shading.ambint", 1.0, "unknown key `coarse.renderer.shading.ambint`", "`ambient`"),
        ("cameras.views", 0, "`coarse.cameras.views` must be between 1 and 256, not 0", ""),
        ("name", "../x", "a stage cannot be called `../x`", ""),
        ("guidance.t_max", 1.5, "`coarse.guidance`: `t_min` and `t_max` are shares of the noise schedule, between 0 and 1", ""),
        ("steps", 0, "`coarse`: `steps` must be at least 1", ""),
        ("guidance.use", "toybx", "there is no guidance `toybx`", "`toybox`"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_path(
    mini: Path, catalog: Catalog, key: str, value: object, message: str, hint: str
) -> None:
    with pytest.raises(Df3dError) as error:
        compose(override(recipes.read(mini), [(key, value)], catalog), catalog)
    assert error.value.message == message
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b=8", ("a.b", 8)),
        ("a=0.5", ("a", 0.5)),
        ("a=word", ("a", "word")),
        ("a=[1, 2]", ("a", [1, 2])),
        ("a=true", ("a", True)),
        ("a=x=y", ("a", "x=y")),
        (" a.b =8", ("a.b", 8)),
    ],
)
def test_settings_are_toml_values_or_words(text: str, expected: tuple[str, object]) -> None:
    assert parse_setting(text) == expected


def test_a_setting_without_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="no `KEY=VALUE`"):
        parse_setting("field.levels")


def test_an_end_may_be_set_of_what_was_a_plain_number(mini: Path, catalog: Catalog) -> None:
    """`--set penalties.opacity=2 --set penalties.opacity.end=0`: it begins at what it was."""
    found = override(recipes.read(mini), [("penalties.opacity", 2.0), ("penalties.opacity.end", 0.5)], catalog)
    assert found.stages[0].penalties["opacity"] == Schedule(2.0, 0.5)


def test_of_several_guidances_all_are_set_or_the_one_named(mini: Path, catalog: Catalog) -> None:
    mini.write_text(mini.read_text().replace('{ use = "toybox" }', '[{ use = "toybox", scale = 1.0 }, { use = "sds" }]'))
    recipe = recipes.read(mini)
    both = override(recipe, [("guidance.scale", 3.0), ("guidance.weight", 0.5)], catalog).stages[0].guidance
    assert [(one.options["scale"], one.weight) for one in both] == [(3.0, Schedule(0.5))] * 2
    one = override(recipe, [("guidance.sds.scale", 5.0), ("coarse.guidance.sds.weight", 2.0)], catalog).stages[0].guidance
    assert [guidance.options["scale"] for guidance in one] == [1.0, 5.0]
    assert [guidance.weight for guidance in one] == [Schedule(1.0), Schedule(2.0)]
    other = override(recipe, [("guidance.sds.use", "clip")], catalog).stages[0].guidance
    assert [guidance.use for guidance in other] == ["toybox", "clip"]
    with pytest.raises(ConfigError, match=r"unknown key `guidance\.use`") as error:
        override(recipe, [("guidance.use", "clip")], catalog)
    assert error.value.hint == "a stage has several guidances: write guidance.NAME.use"


def test_another_part_begins_with_its_own_options(mini: Path, catalog: Catalog) -> None:
    found = override(recipes.read(mini), [("field.use", "tets"), ("guidance.use", 3)], catalog).stages[0]
    assert (found.field.use, found.field.options) == ("tets", {})
    assert found.guidance[0].use == "3"  # a name, even if it reads like a number


def test_what_is_df3ds_own_can_be_set_too(mini: Path, catalog: Catalog) -> None:
    text = mini.read_text()
    mini.write_text(text + text.split("\n", 2)[2].replace('"coarse"', '"fine"'))
    changes = [("optimizer.decay", 0.5), ("fine.start_from", "coarse"), ("save_every", 7), ("preview_every", 8)]
    coarse, fine = override(recipes.read(mini), changes, catalog).stages
    assert (coarse.start_from, fine.start_from) == (None, "coarse")
    assert coarse.optimizer.decay == fine.optimizer.decay == Schedule(0.5)
    assert (fine.save_every, fine.preview_every) == (7, 8)


def test_the_options_of_a_source_can_be_set(catalog: Catalog) -> None:
    @dataclass(frozen=True, kw_only=True)
    class Config:
        strength: float = option(1.0, "how strong")

    class Offers:
        @hookimpl
        def df3d_sources(self) -> list[SourcePlugin]:
            return [SourcePlugin(name="maker", summary="Makes", target="x:y", config=Config, makes="mesh")]

    other = Catalog.discover()
    other.add(Offers())
    recipe = recipes.from_table({"stage": [{"name": "one", "source": {"use": "maker"}}]})
    assert override(recipe, [("source.strength", 0.5)], other).stages[0].source.options == {"strength": 0.5}
    with pytest.raises(ConfigError, match="penalties"):  # which nothing there would use
        override(recipe, [("penalties.opacity", 1.0)], other)
