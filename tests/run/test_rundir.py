"""Run folders: what is claimed, what is cleared, and what stays."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from df3d.errors import RunError
from df3d.events import Notice
from df3d.plugin.catalog import Catalog
from df3d.prompt import Picture, Prompt
from df3d.recipe import recipe as recipes
from df3d.recipe.compose import compose
from df3d.recipe.plan import Plan
from df3d.recipe.settings import override
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


def plan_of(*settings: tuple[str, object]) -> tuple[Catalog, Plan]:
    catalog = Catalog.discover()
    return catalog, compose(override(recipes.find("toybox", catalog), list(settings), catalog), catalog)


def begun(path: Path, prompt: Prompt, *settings: tuple[str, object], seed: int = 0) -> None:
    """A run with a checkpoint."""
    catalog, plan = plan_of(*settings)
    run = RunDir.open(path, catalog, prompt=prompt, plan=plan, seed=seed)
    run.update_manifest({**prompt.record(), "seed": seed, "recipe": "toybox", "versions": {}})
    run.write_text("run.toml", plan.recipe.toml())
    run.expect(plan)
    run.close()
    (path / "coarse").mkdir(exist_ok=True)
    (path / "coarse" / "step-000002.safetensors").touch()


def test_a_run_goes_on_for_the_same_and_for_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"abc")
    pictured = Prompt("a car", pictures=(Picture(tmp_path / "a.png"),))
    begun(tmp_path / "run", Prompt("a car"))
    begun(tmp_path / "run", Prompt("a car"))
    for prompt, settings, seed, message in (
        (Prompt("a boat"), (), 0, "with prompt `a car`, not `a boat`"),
        (Prompt("a car", negative="ugly"), (), 0, "with negative ``, not `ugly`"),
        (Prompt("a car"), (), 1, "with seed `0`, not `1`"),
        (pictured, (), 0, "with pictures `None`, not"),
        (Prompt("a car", mesh=tmp_path / "a.png"), (), 0, "with mesh `None`, not"),
        (Prompt("a car"), (("coarse.field.levels", 5),), 0, "other settings"),
        (Prompt("a car"), (("export.faces", 5),), 0, "other settings"),
    ):
        with pytest.raises(RunError, match=message) as error:
            begun(tmp_path / "run", prompt, *settings, seed=seed)
        assert "--fresh" in error.value.hint
    begun(tmp_path / "pictured", pictured)
    with pytest.raises(RunError, match=r"with pictures `\[.*\]`, not `None`"):
        begun(tmp_path / "pictured", Prompt("a car"))


def test_a_folder_that_is_refused_is_let_go_of(tmp_path: Path) -> None:
    begun(tmp_path / "run", Prompt("a car"))
    with pytest.raises(RunError, match="holds a run"):
        begun(tmp_path / "run", Prompt("a boat"))
    begun(tmp_path / "run", Prompt("a car"))  # not in use


def test_a_damaged_manifest_is_cleared_by_fresh_where_there_was_a_run(tmp_path: Path) -> None:
    begin(tmp_path / "run")
    (tmp_path / "run" / "run.json").write_text("{")
    (tmp_path / "run" / "mine.txt").touch()
    with pytest.raises(RunError, match="is damaged"):
        begin(tmp_path / "run")
    begin(tmp_path / "run", "a boat", fresh=True)
    assert RunDir(tmp_path / "run").manifest()["prompt"] == "a boat"
    assert (tmp_path / "run" / "mine.txt").exists()
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "run.json").write_text("{")
    with pytest.raises(RunError, match="is damaged"):
        begin(tmp_path / "theirs", fresh=True)
    assert (tmp_path / "theirs" / "run.json").read_text() == "{"


@pytest.mark.parametrize("name", [".lock", ".lease.0a.tmp", "events.jsonl", ".run.json.0a.tmp", ".run.toml.0a.tmp"])
def test_what_is_left_before_there_is_a_manifest_blocks_nothing(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    begin(tmp_path)
    assert RunDir(tmp_path).manifest()["prompt"] == "a car"


@pytest.mark.parametrize("name", [".run.json.0a.bak", ".asset.glb.0a.tmp", "events.jsonl.1", "notes.txt"])
def test_any_other_file_is_somebody_elses(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    with pytest.raises(RunError, match="holds files that are not a run"):
        begin(tmp_path)


def test_a_manifest_keeps_what_it_is_not_told_anew(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.update_manifest({"prompt": "é", "seed": 3, "seconds": 4})
    run.update_manifest({"seed": 4, "peak_memory_mib": 5})
    assert run.manifest() == {"prompt": "é", "seed": 4, "seconds": 4, "peak_memory_mib": 5}
    assert "é" in (tmp_path / "run.json").read_text()
    run.remember("coarse", {"rung": 1000, "rollbacks": 0})
    run.remember("fine", {"rung": 2, "rollbacks": 1})
    assert (run.recovery("coarse"), run.recovery("fine")) == ({"rung": 1000, "rollbacks": 0}, {"rung": 2, "rollbacks": 1})
    for wrong in (1001, -1, True, 1.0):
        run.write_text("run.json", json.dumps({"recovery": {"coarse": {"rung": wrong}}}))
        with pytest.raises(RunError, match="cannot be"):
            run.manifest()


def test_an_asset_is_that_of_a_run_that_is_finished(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert run.asset() is None
    (tmp_path / "asset.glb").touch()
    run.update_manifest({"asset": "asset.glb", "status": "running"})
    assert run.asset() is None
    run.update_manifest({"status": "finished"})
    assert run.asset() == tmp_path / "asset.glb"
    (tmp_path / "asset.glb").unlink()
    assert run.asset() is None


def test_a_long_manifest_is_read_and_scores_go_when_a_run_is_started_anew(tmp_path: Path) -> None:
    begin(tmp_path)
    RunDir(tmp_path).update_manifest({"versions": {str(number): "1.0" for number in range(20_000)}})
    assert len(RunDir(tmp_path).manifest()["versions"]) == 20_000
    for name in ("scores.json", "sheet.png", "turntable.webp"):
        (tmp_path / name).touch()
    begin(tmp_path, fresh=True)
    assert {path.name for path in tmp_path.iterdir()} == {".lock", "run.json", "run.toml"}


def test_a_folder_is_named_by_its_prompt_and_told_from_its_like() -> None:
    assert default_path("a" * 60, 0) == Path("runs") / ("a" * 60)
    long = default_path("a" * 61, 3).name
    assert long.startswith("a" * 60 + "-")
    assert long.endswith("-seed3")
    digits = long.removeprefix("a" * 60 + "-").removesuffix("-seed3")
    assert digits == hashlib.sha256(b"a" * 61).hexdigest()[:6]
    assert default_path("!!!", 0).name == f"run-{hashlib.sha256(b'!!!').hexdigest()[:6]}"
    assert default_path("A Red Car", 0) == default_path("a red car", 0)
