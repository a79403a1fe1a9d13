"""`--recipe auto`: which recipe, and why."""

from __future__ import annotations

from pathlib import Path

import pytest
from minimal import MINIMAL

from df3d import hookimpl
from df3d.errors import ConfigError, PluginError
from df3d.plugin.catalog import Catalog
from df3d.recipe import auto


def name_of(catalog: Catalog, device: str) -> str:
    return auto.choose(catalog, [], device=device, why="it is a test")[0].recipe.name


def test_a_cpu_takes_the_embedded_model_and_says_why(catalog: Catalog) -> None:
    plan, note = auto.choose(catalog, [("steps", 7)], device="cpu", why="there is no GPU")
    assert (note.text, note.instead) == ("recipe `toybox`, since there is no GPU", False)
    assert [stage.stage.steps for stage in plan.stages] == [7, 7]


def test_a_gpu_takes_stable_diffusion_where_its_weights_are(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("df3d_diffusion.models.on_disk", lambda hub: None)
    plan, note = auto.choose(catalog, [], device="cuda", why="there is a GPU")
    assert plan.recipe.name == "toybox"
    assert "df3d models pull sd21" in note.text
    assert note.instead
    monkeypatch.setattr("df3d_diffusion.models.on_disk", lambda hub: tmp_path)
    assert name_of(catalog, "cuda") == "dreamfusion"
    assert name_of(catalog, "cpu") == "toybox"


def test_the_first_reason_is_said_when_no_recipe_can_be_used(catalog: Catalog) -> None:
    with pytest.raises(ConfigError, match="unknown key `field.levles`"):
        auto.choose(catalog, [("field.levles", 3)], device="cpu", why="")
    with pytest.raises(ConfigError, match="no recipe offers itself"):
        auto.choose(Catalog(), [], device="cpu", why="")


def offering(folder: Path) -> Catalog:
    class Recipes:
        @hookimpl
        def df3d_recipes(self) -> list[Path]:
            return [folder]

    catalog = Catalog()
    catalog.add(Recipes())
    return catalog


def test_the_reason_is_that_of_the_strongest_and_a_broken_file_is_passed_over(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("{")
    for name, strength in (("weak", 1), ("strong", 9), ("middle", 5), ("other", 0)):
        text = MINIMAL.replace('"mini"', f'"{name}"\ndefault_for = {{ cpu = {strength} }}')
        (tmp_path / f"{name}.toml").write_text(text.replace('"hashgrid"', f'"{name}-field"'))
    catalog = offering(tmp_path)
    assert [recipe.name for recipe in auto.candidates(catalog, "cpu")] == ["strong", "middle", "weak"]
    assert list(auto.candidates(catalog, "cuda")) == []
    with pytest.raises(PluginError, match="there is no field `strong-field`"):
        auto.choose(catalog, [], device="cpu", why="")
