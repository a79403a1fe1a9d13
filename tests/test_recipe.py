from __future__ import annotations

from pathlib import Path

import pytest
from minimal import change

from df3d import recipe as recipes
from df3d.catalog import Catalog
from df3d.compose import compose
from df3d.errors import ConfigError, Df3dError
from df3d.schedule import Schedule


def test_a_resolved_recipe_repeats_itself(mini: Path, catalog: Catalog, tmp_path: Path) -> None:
    _, full = compose(recipes.read(mini), catalog)
    again = tmp_path / "again.toml"
    again.write_text(full.toml())
    assert compose(recipes.read(again), catalog)[1] == full
    assert full.stages[0].field.options["levels"] == 4
    assert full.stages[0].field.options["features"] == 2  # a default, written out


def test_override_reaches_every_stage_that_has_the_key_or_the_one_named(mini: Path, catalog: Catalog) -> None:
    text = mini.read_text()
    mini.write_text(text + text.split("\n", 2)[2].replace('"coarse"', '"fine"'))
    recipe = recipes.read(mini)
    both = recipes.override(recipe, [("field.levels", 8)], catalog)
    assert [stage.field.options["levels"] for stage in both.stages] == [8, 8]
    one = recipes.override(recipe, [("fine.field.levels", 8), ("fine.steps", 9)], catalog)
    assert [stage.field.options["levels"] for stage in one.stages] == [4, 8]
    assert [stage.steps for stage in one.stages] == [3, 9]
    nested = recipes.override(recipe, [("renderer.shading.ambient", 0.3), ("export.faces", 10)], catalog)
    assert nested.stages[0].renderer.options["shading"] == {"ambient": 0.3}
    assert nested.export.faces == 10
    scheduled = recipes.override(recipe, [("penalties.opacity", {"start": 0.0, "end": 1.0})], catalog)
    assert scheduled.stages[0].penalties.opacity == Schedule(0.0, 1.0)


@pytest.mark.parametrize(
    ("key", "value", "message", "hint"),
    [
        ("field.levles", 8, "unknown key `field.levles`", "`field.levels`"),
        ("coarse.field.levles", 8, "unknown key `coarse.field.levles`", "`coarse.field.levels`"),
        ("stpes", 8, "unknown key `stpes`", "`steps`"),
        ("export.face", 8, "unknown key `export.face`", "`faces`"),
        ("field.levels", "many", "`coarse.field.levels` must be a whole number, not `many`", ""),
        ("field.levels", 99, "`coarse.field`: `levels` must be between 1 and 32", ""),
        ("renderer.shading.ambint", 1.0, "unknown key `coarse.renderer.shading.ambint`", "`ambient`"),
        ("cameras.views", 0, "`coarse.cameras`: `views` and `size` must be at least 1", ""),
        ("name", "../x", "a stage cannot be called `../x`", ""),
        ("guidance.t_max", 1.5, "`coarse.guidance`: `t_min` and `t_max` are shares of the noise schedule, between 0 and 1", ""),
        ("steps", 0, "`coarse`: steps and save_every must be at least 1, preview_every at least 0", ""),
        ("guidance.use", "toybx", "there is no guidance `toybx`", "`toybox`"),
    ],
)
def test_a_wrong_setting_is_refused_with_its_path(
    mini: Path, catalog: Catalog, key: str, value: object, message: str, hint: str
) -> None:
    with pytest.raises(Df3dError) as error:
        compose(recipes.override(recipes.read(mini), [(key, value)], catalog), catalog)
    assert error.value.message == message
    assert hint in error.value.hint


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('name = "mini"', 'name = "mini', "is not valid TOML"),
        ('name = "mini"', 'nam = "mini"', "unknown key `nam`"),
        ("[[stage]]", "[stage]", "has no `[[stage]]` table"),
        ("steps = 3", "", "key `coarse.steps` is missing"),
        ("steps = 3", "step = 3", "unknown key `coarse.step`"),
        ('use = "hashgrid", ', "", "`coarse.field.use` is missing"),
        ('guidance = { use = "toybox" }', "", "`coarse.guidance` is missing"),
        ('renderer = { use = "raymarch" }', 'renderer = "raymarch"', "`coarse.renderer` must be a table"),
    ],
)
def test_a_damaged_recipe_says_where(mini: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        recipes.read(change(mini, old, new))
    assert message in error.value.message
    assert str(mini) in error.value.message


def test_an_unknown_recipe_names_the_nearest(catalog: Catalog) -> None:
    with pytest.raises(ConfigError) as error:
        recipes.find("toybx", catalog)
    assert error.value.hint == "did you mean `toybox`?"
