"""df3d from Python: the same story as the command, and what is promised of its names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import TINY, Cli
from public_api import LIST, listing

import df3d
from df3d import api
from df3d.errors import ConfigError, RunError
from df3d.events import Event, RunFinished

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
