"""Run folders: what is claimed, what is cleared, and what stays."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from df3d.errors import RunError
from df3d.events import Notice
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
    run.expect(plan)
    run.close()


def test_fresh_removes_what_a_run_leaves_and_nothing_else(tmp_path: Path) -> None:
    begin(tmp_path / "run")
    mine = ("coarse/step-000002.safetensors", "coarse/.step-000004.safetensors.0123abcd.tmp", "fine/preview-000100.png", 
            "asset.glb", "events.jsonl", ".asset.glb.0123456789abcdef.tmp")  # fmt: skip
    yours = ("asset.blend", "asset.obj", "export.obj", "coarse/preview-of-my-thesis.png", "coarse/step-2.safetensors",
             "other/step-000002.safetensors", ".notes.tmp")  # fmt: skip
    for name in (*mine, *yours):
        (tmp_path / "run" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "run" / name).touch()
    begin(tmp_path / "run", "a boat", fresh=True)
    left = {str(path.relative_to(tmp_path / "run")) for path in (tmp_path / "run").rglob("*") if path.is_file()}
    assert left == {*yours, ".lock", "run.json", "run.toml"}
    assert not (tmp_path / "run" / "fine").exists()
    assert RunDir.existing(tmp_path / "run").manifest()["prompt"] == "a boat"


def test_fresh_follows_no_link(tmp_path: Path) -> None:
    begin(tmp_path / "run")
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "step-000002.safetensors").touch()
    (outside / "private").touch()
    (tmp_path / "run" / "asset.glb").symlink_to(outside / "private")
    (tmp_path / "run" / "coarse").symlink_to(outside)
    with pytest.raises(RunError, match="is a link, which df3d never makes"):
        begin(tmp_path / "run", "a boat", fresh=True)
    (tmp_path / "run" / "coarse").unlink()
    begin(tmp_path / "run", "a boat", fresh=True)
    assert not (tmp_path / "run" / "asset.glb").is_symlink()
    assert sorted(path.name for path in outside.iterdir()) == ["private", "step-000002.safetensors"]


def test_a_run_of_version_0_1_0_is_cleared_too(tmp_path: Path) -> None:
    begin(tmp_path / "run")
    path = tmp_path / "run" / "run.json"
    old = {key: value for key, value in json.loads(path.read_text()).items() if key not in ("files", "stages")}
    path.write_text(json.dumps(old | {"status": "finished", "asset": "asset.glb"}))
    (tmp_path / "run" / "coarse").mkdir()
    for name in ("coarse/step-000220.safetensors", "asset.glb", "asset.blend"):
        (tmp_path / "run" / name).touch()
    begin(tmp_path / "run", fresh=True)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {".lock", "run.json", "run.toml", "asset.blend"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"asset": "../private"}, "not the name of a file in it"),
        ({"asset": "/etc/passwd"}, "not the name of a file in it"),
        ({"asset": ".."}, "not the name of a file in it"),
        ({"asset": ["asset.glb"]}, "`asset` cannot be"),
        ({"files": ["../other"]}, "not the name of a file in it"),
        ({"stages": [["coarse"]]}, "not the name of a file in it"),
        ({"seed": [1]}, "`seed` cannot be"),
        ({"seed": True}, "`seed` cannot be"),
        ({"prompt": {"a": 1}}, "`prompt` cannot be"),
        ({"recovery": {"coarse": {"rung": 10**9}}}, "`recovery` of `coarse` cannot be"),
        ({"recovery": {"coarse": []}}, "`recovery` of `coarse` cannot be"),
        ({"fit": [["coarse.renderer.tile"]]}, "`fit` cannot hold"),
        ([], "it is not a table"),
    ],
)
def test_a_manifest_that_says_what_it_cannot_is_refused(tmp_path: Path, change: object, reason: str) -> None:
    begin(tmp_path)
    told = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**told, **change} if isinstance(change, dict) else change))
    with pytest.raises(RunError, match=reason):
        RunDir(tmp_path).asset()


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "\xff", "9" * 5000], ids=["brackets", "half", "latin-1", "a number"])
def test_a_manifest_that_is_no_json_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(RunError, match="is damaged"):
        RunDir(tmp_path).manifest()


def test_links_in_a_run_are_not_followed(tmp_path: Path) -> None:
    begin(tmp_path / "run")
    run, private = RunDir(tmp_path / "run"), tmp_path / "private"
    private.write_text("secret")
    run.update_manifest({"status": "finished", "asset": "asset.glb"})
    (tmp_path / "run" / "asset.glb").symlink_to(private)
    assert run.asset() is None
    (tmp_path / "run" / "events.jsonl").symlink_to(private)
    with pytest.raises(RunError, match="cannot write"):
        run.log(Notice("hello"))
    (tmp_path / "run" / "run.toml").unlink()
    (tmp_path / "run" / "run.toml").symlink_to(private)
    with pytest.raises(RunError, match="not a regular file"):
        run.recipe()
    assert private.read_text() == "secret"


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
    assert RunDir(tmp_path / "run").manifest()["prompt"] == "a car"


def test_a_run_without_a_step_blocks_no_other_and_one_with_steps_does(tmp_path: Path) -> None:
    begin(tmp_path / "run")
    begin(tmp_path / "run", "a boat")
    (tmp_path / "run" / "coarse").mkdir()
    (tmp_path / "run" / "coarse" / "step-000002.safetensors").touch()
    with pytest.raises(RunError, match="holds a run with prompt `a boat`, not `a car`"):
        begin(tmp_path / "run", "a car")


def test_checkpoints_are_ordered_by_their_number(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    for step in (999_999, 1_000_000, 5):
        (tmp_path / "s" / f"step-{step:06d}.safetensors").touch()
    assert [path.stem for path in RunDir(tmp_path).checkpoints("s").files] == ["step-000005", "step-999999", "step-1000000"]


@pytest.mark.parametrize("prompt", ["con", "NUL", "com1", "lpt9"])
def test_no_folder_is_called_like_a_device_of_windows(prompt: str) -> None:
    assert default_path(prompt, 0).name.startswith(f"{prompt.lower()}-")


def test_prompts_that_differ_have_folders_that_differ() -> None:
    long = "a zoomed out photo of a wizard raccoon casting a spell, standing on "
    assert default_path("A red car", 0) == Path("runs/a-red-car")
    assert default_path("a red car", 2) == Path("runs/a-red-car-seed2")
    prompts = (long + "a hill", long + "a log", "红色的汽车", "蓝色的汽车", "a red car", "a red car!", "a red 猫", "a red 犬")
    names = {default_path(prompt, 0).name for prompt in prompts}
    assert len(names) == len(prompts)
    assert all(len(name) < 80 for name in names)
