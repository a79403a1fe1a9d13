from __future__ import annotations

from pathlib import Path

import pytest
from minimal import change

from df3d import FieldPlugin, hookimpl
from df3d.errors import ConfigError, PluginError
from df3d.plugin.catalog import Catalog
from df3d.recipe import recipe as recipes
from df3d.recipe.compose import compose


def test_every_shipped_recipe_composes(catalog: Catalog) -> None:
    names = recipes.available(catalog)
    assert "toybox" in names
    for name in names:
        assert compose(recipes.find(name, catalog), catalog).stages


def test_parts_that_do_not_fit_are_refused(mini: Path, catalog: Catalog) -> None:
    class Flat:
        @hookimpl
        def df3d_fields(self) -> list[FieldPlugin]:
            return [FieldPlugin(name="flat", summary="Flat", target="x:y", provides=frozenset({"surface"}))]

    other = Catalog.discover()
    other.add(Flat())
    with pytest.raises(PluginError, match="renderer `raymarch` in stage `coarse` needs a field with volume; `flat` has surface"):
        compose(recipes.read(change(mini, 'use = "hashgrid", levels = 4', 'use = "flat"')), other)


def test_a_stage_can_only_start_from_an_earlier_one(mini: Path, catalog: Catalog) -> None:
    with pytest.raises(ConfigError, match="`coarse.start_from` names no earlier stage: `fine`"):
        compose(recipes.read(change(mini, "steps = 3", 'steps = 3\nstart_from = "fine"')), catalog)


@pytest.mark.parametrize(
    ("weight", "needed"),
    [("0.0", False), ("1.0", True), ("{ start = 0.0, end = 1.0 }", True), ("{ start = 1.0, end = 0.0 }", True)],
)
def test_a_penalty_that_has_a_say_at_any_step_is_in_the_plan(mini: Path, catalog: Catalog, weight: str, needed: bool) -> None:
    mini.write_text(mini.read_text() + f"penalties = {{ orientation = {weight} }}\n")
    stage = compose(recipes.read(mini), catalog).stages[0]
    assert ("orientation" in [plugin.name for plugin, _ in stage.penalties]) == needed
    assert list(stage.stage.penalties) == (["orientation"] if needed else [])
