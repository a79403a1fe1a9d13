from __future__ import annotations

from pathlib import Path

import pytest
from minimal import change

from df3d.errors import ConfigError
from df3d.plugin.catalog import Catalog
from df3d.recipe import recipe as recipes
from df3d.recipe.compose import compose


def test_a_resolved_recipe_repeats_itself(mini: Path, catalog: Catalog, tmp_path: Path) -> None:
    full = compose(recipes.read(mini), catalog).recipe
    again = tmp_path / "again.toml"
    again.write_text(full.toml())
    assert compose(recipes.read(again), catalog).recipe == full
    assert full.stages[0].field.options["levels"] == 4
    assert full.stages[0].field.options["features"] == 2  # a default, written out


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
