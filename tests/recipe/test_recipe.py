from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from minimal import MINIMAL, change

from df3d import hookimpl
from df3d.errors import ConfigError
from df3d.plugin.catalog import Catalog
from df3d.recipe import recipe as recipes
from df3d.recipe.compose import compose
from df3d.schedule import Schedule


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


def test_what_a_recipe_leaves_out_has_these_values(mini: Path) -> None:
    (stage,) = recipes.read(mini).stages
    assert (stage.cameras.use, stage.optimizer.use, stage.optimizer.decay) == ("orbit", "adam", Schedule(1.0))
    assert (stage.save_every, stage.preview_every, stage.start_from, stage.penalties) == (250, 100, None, {})
    assert stage.guidance[0].weight == Schedule(1.0)


WHOLE = """
name = "whole"
summary = "Everything that a recipe can say"
default_for = { cpu = 3 }
[[stage]]
name = "made"
source = { use = "maker", strength = 0.5 }
[[stage]]
name = "state"
start_from = "made"
source = { use = "maker" }
field = { use = "hashgrid" }
renderer = { use = "raymarch" }
[[stage]]
name = "fine"
start_from = "state"
steps = 7
field = { use = "tets" }
renderer = { use = "raster" }
guidance = [{ use = "sds", weight = 0.5 }, { use = "toybox", weight = { start = 1.0, end = 0.0, since = 0.1, until = 0.9 } }]
cameras = { use = "mine", views = 3 }
optimizer = { use = "mine", decay = { start = 1.0, end = 0.1 } }
penalties = { opacity = { start = 0.0, end = 2.0 }, eikonal = 1.0 }
save_every = 11
preview_every = 12
[export]
faces = 9
"""


def test_a_recipe_is_written_as_it_was_read() -> None:
    recipe = recipes.from_table(tomllib.loads(WHOLE))
    assert recipes.from_table(tomllib.loads(recipe.toml())) == recipe
    assert recipe.stages[2].guidance[1].weight == Schedule(1.0, 0.0, 0.1, 0.9)
    fine = recipe.stages[2]
    assert (recipe.stages[1].start_from, fine.start_from, fine.save_every, fine.preview_every) == ("made", "state", 11, 12)
    assert recipe.default_for == {"cpu": 3}


def test_the_name_of_a_stage_has_at_most_64_letters(mini: Path) -> None:
    assert recipes.read(change(mini, '"coarse"', f'"{"a" * 64}"')).stages[0].name == "a" * 64
    with pytest.raises(ConfigError, match="a stage cannot be called"):
        recipes.read(change(mini, "a" * 64, "a" * 65))


def test_of_two_recipes_with_one_name_the_first_plugins_counts(tmp_path: Path) -> None:
    catalog = Catalog()
    for index, folder in enumerate((tmp_path / "z", tmp_path / "a")):

        class Recipes:
            @hookimpl
            def df3d_recipes(self, folder: Path = folder) -> list[Path]:
                return [folder]

        folder.mkdir()
        (folder / "mini.toml").write_text(MINIMAL.replace("steps = 3", f"steps = {index + 1}"))
        (folder / f"own-{index}.toml").write_text(MINIMAL)
        catalog.add(Recipes())
    assert recipes.find("mini", catalog).stages[0].steps == 1
    assert list(recipes.available(catalog)) == ["mini", "own-0", "own-1"]


def test_a_name_with_a_slash_is_a_file(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text(MINIMAL)
    assert recipes.find(str(tmp_path / "plain"), catalog).name == "mini"
    with pytest.raises(ConfigError, match="recipe `no/such` cannot be read"):
        recipes.find("no/such", catalog)
