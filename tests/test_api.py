"""df3d from Python: the same story as the command, and what is promised of its names."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command import TINY, Cli
from public_api import LIST, listing

import df3d
from df3d import ScorerPlugin, api, hookimpl, option
from df3d.errors import ConfigError, ExportError, ModelError, PluginError, RunError
from df3d.events import Event, RunFinished
from df3d.plugin.catalog import Catalog

SMALL: dict[str, object] = {
    key.removeprefix("--set="): json.loads(value)
    for key, _, value in (setting.partition("=") for setting in (s.removeprefix("--set=") for s in TINY if s.startswith("--set=")))
}


def test_the_public_names_and_signatures_are_those_that_were_written_down() -> None:
    """A deliberate change is written down with `python tests/public_api.py`, and told in the changelog."""
    assert listing().splitlines() == LIST.read_text().splitlines()


def test_settings_of_a_script_are_those_of_a_shell() -> None:
    texts = api.as_settings({"field.levels": 10, "guidance.use": "a b", "cameras.size": {"start": 32, "end": 64}, "x": [1.5, 2]})
    assert [api.parse_setting(text) for text in texts] == [
        ("field.levels", 10),
        ("guidance.use", "a b"),
        ("cameras.size", {"start": 32, "end": 64}),
        ("x", [1.5, 2]),
    ]


def test_a_script_does_what_the_command_does(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seen: list[Event] = []
    run = df3d.generate("a red car", out="script", steps=6, set=SMALL, device="cpu", on_event=seen.append)
    assert isinstance(seen[-1], RunFinished)
    assert run.asset == Path("script/asset.glb")
    assert (finished / "coarse" / "step-000006.safetensors").read_bytes() == Path(
        "script/coarse/step-000006.safetensors"
    ).read_bytes()
    mesh = run.mesh()
    assert isinstance(mesh, df3d.MeshAsset)
    assert len(mesh.mesh.faces) > 50
    assert run.scores() == {}
    (result,) = df3d.evaluate([run], scorers=["geometry"])
    assert run.scores()["geometry.watertight"] == result.scores["geometry.watertight"] == 1.0
    assert df3d.export(run, "obj", faces=100) == Path("script/asset.obj")
    assert df3d.render(run, "car.png", views=8, size=32) == Path("car.png")
    assert df3d.render("script/asset.glb", size=32, views=4, shading="geometry").name == "asset-turntable.webp"
    bundle = run._repr_mimebundle_()
    assert bundle["text/html"].startswith('<img alt="Run(')
    assert "finished" in bundle["text/plain"]


def test_mistakes_are_errors_with_hints(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="is not a run folder"):
        df3d.Run(tmp_path)
    with pytest.raises(ConfigError, match="there is no option `face`"):
        df3d.export(finished, face=3)
    with pytest.raises(ConfigError, match="there is no shading `shiny`"):
        df3d.render(finished, shading="shiny")
    with pytest.raises(ConfigError, match="unknown key `field.levles`"):
        df3d.generate("a red car", out=tmp_path / "x", set={"field.levles": 3})
    assert not (tmp_path / "x").exists()
    with pytest.raises(AttributeError):
        df3d.no_such_name  # noqa: B018


def test_a_batch_whose_runs_fail_says_so(tmp_path: Path) -> None:
    empty = {"coarse.field.blob_density": 0.0, "coarse.field.density_bias": -30.0}
    with pytest.raises(RunError, match="1 of 1 runs failed, `a red car` first"):
        df3d.batch(["a red car"], out=tmp_path / "many", set={**SMALL, "steps": 3, **empty}, device="cpu")
    made = df3d.batch(["a red car"], out=tmp_path / "printed", set=SMALL, device="cpu", launcher="print")
    assert made == []  # nothing was started, so nothing failed


def test_a_batch_does_what_is_left(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a red car\na blue car\n")
    settings = [*(s for s in TINY if s.startswith("--set")), "--set=steps=4"]
    command = ("batch", "list.txt", "--out", "many", *settings, "--device", "cpu")
    first = cli(*command)
    assert first.stdout == "many/a-red-car/asset.glb\nmany/a-blue-car/asset.glb\n", first.stderr
    before = (tmp_path / "many" / "a-red-car" / "asset.glb").stat().st_mtime_ns
    (tmp_path / "many" / "a-blue-car" / "asset.glb").unlink()
    again = cli(*command)
    assert again.stdout == first.stdout, again.stderr
    assert (tmp_path / "many" / "a-red-car" / "asset.glb").stat().st_mtime_ns == before
    (tmp_path / "list.txt").write_text("a red car\na red car\n")
    assert "line 2: its folder `a-red-car` is that of line 1" in cli(*command).stderr
    (tmp_path / "list.txt").write_text("a red car\n")
    assert "`many` holds another batch" in cli(*command).stderr
    (tmp_path / "list.txt").write_text("a flurb\n")
    assert "knows no object" in cli("batch", "list.txt", "--out", "other").stderr
    assert not (tmp_path / "other").exists()
    assert "holds no prompt" in cli("batch", "-", "--out", "other").stderr
    assert "there is no launcher `moon`" in cli("batch", "list.txt", "--out", "o", "--launcher", "moon").stderr


@dataclass(frozen=True, kw_only=True)
class Options:
    depth: int = option(3, "how deep", low=1, high=9)


def away(config: Options) -> None:
    raise ModelError("its model is not here", "fetch it")


class Built:
    def __init__(self, config: Options, *, device: str) -> None:
        self.config, self.device = config, device


class Fragile:
    def __init__(self, config: Options, *, device: str) -> None:
        raise ModelError("its model is damaged")


@pytest.fixture(scope="module")
def scorers() -> Catalog:
    class Offers:
        @hookimpl
        def df3d_scorers(self) -> list[ScorerPlugin]:
            both: dict[str, Any] = {"summary": "Scores", "config": Options, "headline": ("one",)}
            return [
                ScorerPlugin(name="good", target=f"{__name__}:Built", **both),
                ScorerPlugin(name="away", target=f"{__name__}:Built", ready=f"{__name__}:away", **both),
                ScorerPlugin(name="fragile", target=f"{__name__}:Fragile", **both),
            ]

    catalog = Catalog()
    catalog.add(Offers())
    return catalog


def test_of_all_scorers_those_that_can_work_are_chosen_and_of_some_all_must(scorers: Catalog) -> None:
    chosen, notes = api.choose_scorers([], ["good.depth=5"], scorers)
    assert (list(chosen), notes) == (["fragile", "good"], ["without scorer `away`: its model is not here"])
    assert chosen["good"].config == Options(depth=5)
    assert chosen["fragile"].config == Options()
    assert list(api.choose_scorers(["good"], [], scorers)[0]) == ["good"]
    for names, settings in ((["good", "away"], []), ([], ["away.depth=2"])):  # it was asked for, one way or the other
        with pytest.raises(ModelError, match="its model is not here"):
            api.choose_scorers(names, settings, scorers)
    with pytest.raises(ConfigError, match="`good.depth` must be between 1 and 9, not 10"):
        api.choose_scorers([], ["good.depth=10"], scorers)
    with pytest.raises(PluginError, match="there is no scorer `god`"):
        api.choose_scorers(["good"], ["god.depth=1"], scorers)


def test_a_scorer_that_cannot_be_built_is_left_out_unless_it_was_named(scorers: Catalog) -> None:
    chosen, _ = api.choose_scorers(["good", "fragile"], [], scorers)
    built, notes = api.build_scorers(chosen, [], device="cpu")
    assert (list(built), notes) == (["good"], ["without scorer `fragile`: its model is damaged"])
    assert built["good"].device == "cpu"  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="its model is damaged"):
        api.build_scorers(chosen, ["fragile"], device="cpu")


def test_without_a_scorer_nothing_is_chosen(scorers: Catalog, tmp_path: Path) -> None:
    found: list[Any] = [object()]
    assert api.chooser(None, tmp_path, scorers, device="cpu")(found) is found
    with pytest.raises(PluginError, match="there is no scorer `god`"):
        api.chooser("god.one", tmp_path, scorers, device="cpu")


def test_a_file_is_meant_as_it_is_and_a_run_by_its_asset(tmp_path: Path) -> None:
    assert api.asset_path(tmp_path / "car.glb") == tmp_path / "car.glb"
    (tmp_path / "run.json").write_text('{"status": "finished", "asset": "asset.glb", "prompt": "a red car"}')
    with pytest.raises(RunError, match="has no asset yet"):
        api.asset_path(tmp_path)
    (tmp_path / "asset.glb").touch()
    assert api.asset_path(tmp_path) == tmp_path / "asset.glb"
    (tmp_path / "run.json").write_text('{"status": "running", "asset": "asset.glb"}')
    with pytest.raises(RunError, match="has no asset yet"):
        api.asset_path(tmp_path)


def test_a_run_tells_its_prompt_its_state_and_its_scores(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"status": "finished", "asset": "asset.glb", "prompt": "a red car"}')
    run = df3d.Run(str(tmp_path))
    assert repr(run) == f"Run({str(tmp_path)!r}, prompt='a red car', not finished)"
    assert run.scores() == {}
    (tmp_path / "asset.glb").touch()
    assert repr(run).endswith(", finished)")
    assert run._repr_mimebundle_() == {"text/plain": repr(run)}  # no picture yet
    (tmp_path / "scores.json").write_text('{"scores": {"one.good": 0.5}}')
    assert run.scores() == {"one.good": 0.5}
    for text in ("{", "[]", '{"score": 1}'):
        (tmp_path / "scores.json").write_text(text)
        with pytest.raises(RunError, match="is damaged"):
            run.scores()


def test_what_cannot_be_drawn_is_said_before_anything_is(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="there is no file"):
        df3d.render(tmp_path / "gone.glb")
    (tmp_path / "a.glb").touch()
    with pytest.raises(ConfigError, match="is neither a sheet"):
        df3d.render(tmp_path / "a.glb", tmp_path / "a.jpg")


def test_settings_are_written_as_toml(tmp_path: Path) -> None:
    assert api.as_settings({"a": True, "b": "x\ny", "c": tmp_path, "d": {"e": [1, "f"]}, "g": ()}) == [
        "a=true", 'b="x\\ny"', f'c="{tmp_path}"', 'd={ e = [1, "f"] }', "g=[]",
    ]  # fmt: skip


@pytest.mark.parametrize("best_by", [None, "geometry"])
def test_a_batch_returns_what_is_done_or_the_best(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, best_by: str | None) -> None:
    from df3d.batches.plan import Row
    from df3d.batches.summary import State

    found = [
        State(Row("a car", 0, "one"), "done"),
        State(Row("a car", 1, "two"), "done", best=True),
        State(Row("a dog", 0, "three"), "waiting"),
    ]
    asked: list[Any] = []
    monkeypatch.setattr("df3d.batches.make.make", lambda batch, folder, crew, **more: asked.append((batch, crew)) or found)
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
    runs = df3d.batch(["a red car"], out=tmp_path, seeds=(3, 4), recipe="toybox", set={"steps": 2}, device="cpu", retries=5,
                      timeout=9.0, workers=2, launch={"threads": 3}, best_by=best_by)  # fmt: skip
    assert [run.path.name for run in runs] == (["two"] if best_by else ["one", "two"])
    ((batch, crew),) = asked
    assert [(row.prompt, row.seed) for row in batch.rows] == [("a red car", 3), ("a red car", 4)]
    assert (batch.recipe, batch.settings, batch.device) == ("toybox", ["steps=2"], "cpu")
    assert (crew.workers, crew.retries, crew.timeout, crew.config.threads) == (2, 5, 9.0, 3)
