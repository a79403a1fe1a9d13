"""`--recipe auto`: which recipe, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from df3d.errors import ConfigError
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
