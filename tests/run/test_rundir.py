"""Run folders: what is claimed, what is cleared, and what stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from df3d.errors import RunError
from df3d.plugin.catalog import Catalog
from df3d.prompt import Prompt
from df3d.recipe import recipe as recipes
from df3d.recipe.compose import compose
from df3d.run.rundir import RunDir, default_path


def begin(path: Path, prompt: str = "a car", *, fresh: bool = False) -> None:
    catalog = Catalog.discover()
    plan = compose(recipes.find("toybox", catalog), catalog)
    run = RunDir.open(path, catalog, prompt=Prompt(prompt), plan=plan, seed=0, fresh=fresh)
    run.update_manifest({"prompt": prompt, "negative": "", "seed": 0, "recipe": "toybox", "versions": {}})
    run.write_text("run.toml", plan.recipe.toml())
    run.close()


def test_fresh_removes_what_a_run_leaves_and_nothing_else(tmp_path: Path) -> None:
    begin(tmp_path / "run")
    stage = tmp_path / "run" / "coarse"
    stage.mkdir()
    (stage / "step-000002.safetensors").touch()
    (tmp_path / "run" / "asset.glb").touch()
    (tmp_path / "run" / "edit.blend").touch()
    begin(tmp_path / "run", "a boat", fresh=True)
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [".lock", "edit.blend", "run.json", "run.toml"]
    assert RunDir.existing(tmp_path / "run").manifest()["prompt"] == "a boat"


@pytest.mark.parametrize("fresh", [False, True])
def test_other_peoples_run_json_is_left_alone(tmp_path: Path, fresh: bool) -> None:
    (tmp_path / "run.json").write_text('{"theirs": 1}')
    with pytest.raises(RunError, match="not a run"):
        begin(tmp_path, fresh=fresh)
    assert json.loads((tmp_path / "run.json").read_text()) == {"theirs": 1}


@pytest.mark.parametrize(
    "manifest", ['{"fit": []}', '{"prompt": "a", "seed": 0, "recipe": "b", "versions": {}, "status": "running"}']
)
def test_a_run_that_ended_before_it_began_is_taken_up(tmp_path: Path, manifest: str) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text(manifest)
    begin(tmp_path / "run")
    with pytest.raises(RunError, match="holds a run with prompt `a car`, not `a boat`"):
        begin(tmp_path / "run", "a boat")


def test_checkpoints_are_ordered_by_their_number(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for step in (999_999, 1_000_000, 5):
        (tmp_path / "s" / f"step-{step:06d}.safetensors").touch()
    assert [path.stem for path in RunDir(tmp_path).checkpoints("s").files] == ["step-000005", "step-999999", "step-1000000"]


def test_prompts_that_differ_have_folders_that_differ() -> None:
    long = "a zoomed out photo of a wizard raccoon casting a spell, standing on "
    assert default_path("A red car", 0) == Path("runs/a-red-car")
    assert default_path("a red car", 2) == Path("runs/a-red-car-seed2")
    prompts = (long + "a hill", long + "a log", "红色的汽车", "蓝色的汽车", "a red car", "a red car!", "a red 猫", "a red 犬")
    names = {default_path(prompt, 0).name for prompt in prompts}
    assert len(names) == len(prompts)
    assert all(len(name) < 80 for name in names)
