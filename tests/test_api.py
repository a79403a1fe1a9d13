"""df3d from Python: the same story as the command, and what is promised of its names."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from assets import box, write
from command import SETTINGS, TINY, Cli
from public_api import LIST, listing

import df3d
from df3d import ScorerPlugin, api, hookimpl, option
from df3d.errors import ConfigError, Df3dError, ExportError, ModelError, PluginError, RunError
from df3d.events import Event, RunFinished
from df3d.plugin.catalog import Catalog
from df3d.run import pictures

SMALL: dict[str, object] = {key: json.loads(value) for key, _, value in (setting.partition("=") for setting in SETTINGS)}


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


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `render` would save, and from where it was seen."""
    found: dict[str, Any] = {}
    around = pictures.around

    def seen(field: Any, renderer: Any, cameras: Any, *, device: str) -> Any:
        found["cameras"] = cameras
        return around(field, renderer, cameras.resized(16, 16), device=device)

    monkeypatch.setattr(pictures, "around", seen)
    monkeypatch.setattr(pictures, "save", lambda images, path: found.update(images=images, path=path))
    return found


def test_a_turntable_has_24_views_of_256_pixels_from_a_little_above(
    drawn: dict[str, Any], tmp_path: Path, catalog: Catalog
) -> None:
    path = write(tmp_path / "a.glb", catalog)
    assert df3d.render(path, device="cpu", catalog=catalog) == tmp_path / "a-turntable.webp"
    cameras = drawn["cameras"]
    assert (len(cameras), cameras.height, cameras.width, set(cameras.elevation.tolist())) == (24, 256, 256, {15.0})
    assert drawn["images"][0, 0, 0].tolist() == [1.0, 1.0, 1.0]
    df3d.render(path, tmp_path / "a.png", views=3, size=48, elevation=-20.0, device="cpu", catalog=catalog)
    cameras = drawn["cameras"]
    assert (len(cameras), cameras.height, set(cameras.elevation.tolist())) == (3, 48, {-20.0})


def test_a_picture_has_the_light_and_the_background_that_are_asked_for(
    drawn: dict[str, Any], tmp_path: Path, catalog: Catalog
) -> None:
    """The front of a red box, seen from 60 degrees above: the light at the camera meets it at a cosine of a half."""
    path = write(tmp_path / "a.glb", catalog, box())
    given: dict[str, Any] = {"views": 1, "elevation": 60.0, "background": (0.0, 0.25, 0.5), "device": "cpu", "catalog": catalog}

    def colors(shading: str) -> Any:
        df3d.render(path, tmp_path / "a.png", shading=shading, **given)
        image = drawn["images"][0]
        assert image[0, 0].tolist() == pytest.approx([0.0, 0.25, 0.5], abs=1e-3)
        return image.reshape(-1, 3)

    albedo, lit, shape = colors("albedo"), colors("lit"), colors("geometry")
    red = albedo[:, 0] > 0.99
    assert red.sum() > 20
    assert float(albedo[red, 1].max()) < 0.01
    top, front = float(lit[red, 0].max()), float(lit[red, 0].min())
    assert 0.85 < top <= 1.0  # 0.4 + 0.6 * 0.87, and more at the edges that face the camera
    assert 0.4 < front < 0.8
    assert float((shape[red, 0] - shape[red, 2]).abs().max()) < 0.01  # white


def test_what_is_not_drawn_is_told_and_what_cannot_be_is_refused(
    drawn: dict[str, Any], tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, told = write(tmp_path / "a.glb", catalog), list[str]()
    noted = dataclasses.replace(box(), notes=("a lamp is not drawn",))
    monkeypatch.setattr("df3d.mesh.files.read", lambda path, catalog: noted)
    df3d.render(path, views=1, device="cpu", catalog=catalog, on_note=told.append)
    assert told == [f"{path}: a lamp is not drawn"]
    df3d.render(path, views=1, device="cpu", catalog=catalog)
    for given, error, message in (
        ({"out": tmp_path / "a.jpg"}, ConfigError, "is neither a sheet"),
        ({"out": tmp_path / "no" / "a.png"}, ConfigError, "there is no folder"),
        ({"shading": "shiny"}, ConfigError, "there is no shading"),
        ({"asset": tmp_path / "gone.glb"}, ExportError, "there is no file"),
    ):
        with pytest.raises(error, match=message):
            df3d.render(**{"asset": path, "device": "cpu", "catalog": catalog, **given})  # type: ignore[arg-type]


def test_scorers_that_cannot_work_are_noted_unless_they_are_asked_for() -> None:
    class Judges:
        @hookimpl
        def df3d_scorers(self) -> list[ScorerPlugin]:
            given = {"target": "nowhere:Scorer", "headline": ("one",), "summary": "Judges"}
            return [ScorerPlugin(name="unready", ready="test_api:unready", **given)]  # type: ignore[arg-type]

    own = Catalog.discover()
    own.add(Judges())
    chosen, notes = api.choose_scorers([], [], own)
    assert "geometry" in chosen
    assert "unready" not in chosen
    assert "without scorer `unready`: it has no weights" in notes
    assert list(api.choose_scorers(["geometry"], [], own)[0]) == ["geometry"]
    with pytest.raises(ModelError, match="it has no weights"):
        api.choose_scorers(["unready"], [], own)
    for settings in (["unready.x=1"], ["geometri.x=1"], ["geometry.wrong=1"]):
        with pytest.raises(Df3dError):
            api.choose_scorers([], settings, own)


def unready(config: object) -> None:
    raise ModelError("it has no weights")


def test_a_scorer_that_cannot_be_built_is_noted_unless_it_is_asked_for() -> None:
    def build(config: object, *, device: str) -> object:
        if config == "bad":
            raise ModelError("damaged")
        return (config, device)

    chosen: Any = {
        name: SimpleNamespace(config=config, plugin=SimpleNamespace(build=build)) for name, config in (("a", "bad"), ("b", "good"))
    }
    assert api.build_scorers(chosen, [], device="cpu") == ({"b": ("good", "cpu")}, ["without scorer `a`: damaged"])
    assert api.build_scorers(chosen, ["b"], device="cpu")[1] == ["without scorer `a`: damaged"]
    with pytest.raises(ModelError, match="damaged"):
        api.build_scorers(chosen, ["a", "b"], device="cpu")


def test_a_run_knows_its_asset_its_prompt_and_its_scores(tmp_path: Path, catalog: Catalog) -> None:
    (tmp_path / "run.json").write_text('{"prompt": "a car", "status": "running", "asset": "asset.glb"}')
    run = df3d.Run(tmp_path)
    assert (run.asset, run.prompt, run.scores()) == (None, "a car", {})
    assert repr(run) == f"Run({str(tmp_path)!r}, prompt='a car', not finished)"
    with pytest.raises(RunError, match="has no asset yet") as error:
        run.mesh()
    assert "df3d generate" in error.value.hint
    (tmp_path / "scores.json").write_text("[]")
    with pytest.raises(RunError, match="is damaged"):
        run.scores()
    assert run._repr_mimebundle_() == {"text/plain": repr(run)}
    (tmp_path / "turntable.webp").write_bytes(b"RIFF\0\0\0\0WEBP")
    assert run._repr_mimebundle_()["text/html"].startswith("<img alt=")
    assert api.asset_path(tmp_path / "any.glb") == tmp_path / "any.glb"


def test_a_script_may_set_any_number_and_ask_for_what_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="steps"):
        df3d.generate("a red car", out=tmp_path / "x", steps=0, device="cpu")
    assert api.as_settings({"a": True, "b": None, "c": Path("x")}) == ["a=true", 'b="None"', 'c="x"']
