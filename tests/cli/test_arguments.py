"""What is typed reaches what does the work: `df3d batch`, `df3d export`, `df3d render` and `df3d view`."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import trimesh
from typer.testing import CliRunner, Result

from df3d.batches.plan import Row
from df3d.batches.summary import State
from df3d.batches.worker import Spoiled
from df3d.cli import batch as command
from df3d.cli import build, render
from df3d.errors import ConfigError, RunError, Stopped
from df3d.plugin.catalog import Catalog


@pytest.fixture
def run(catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(tmp_path)
    return lambda *arguments, **more: CliRunner().invoke(build(catalog), list(arguments), **more)


# ---------------------------------------------------------------------------------------------- batch
@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The batches that are made, none of which begins."""
    made: list[Any] = []

    def make(batch: Any, folder: Path, crew: Any, **more: Any) -> list[State]:
        made.append((batch, folder, crew))
        return [State(row, "waiting") for row in batch.rows]

    monkeypatch.setattr("df3d.batches.make.make", make)
    return made


def test_a_batch_is_made_as_it_is_asked_for(run: Any, batches: list[Any], tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a red car\n")
    more = "--seeds 2 --set steps=3 --set save_every=9 --steps 4 --retries 1 --timeout 2m --launch threads=2 --workers 3"
    done: Result = run(
        "batch", "list.txt", "-o", "many", *more.split(), *"--recipe toybox --device cpu --workers-per-gpu 4".split()
    )
    assert done.exit_code == 0, done.exception
    ((batch, folder, crew),) = batches
    assert batch.rows == [Row("a red car", 0, "a-red-car"), Row("a red car", 1, "a-red-car-seed1")]
    assert (batch.settings, batch.recipe, batch.device) == (["steps=3", "save_every=9", "steps=4"], "toybox", "cpu")
    assert folder == Path("many")
    assert (crew.retries, crew.timeout, crew.workers, crew.config.threads, crew.config.gpus) == (1, 120.0, 3, 2, 0.25)
    run("batch", "make", "list.txt", "-o", "many", "--device", "cpu", "--gpus-per-worker", "2")
    batch, _, crew = batches[1]
    assert [row.seed for row in batch.rows] == [0]
    assert (crew.retries, crew.timeout, crew.workers, crew.config.gpus) == (2, None, 0, 2.0)


def test_a_list_may_come_from_standard_input(run: Any, batches: list[Any]) -> None:
    done = run("batch", "-", "-o", "many", "--device", "cpu", "--recipe", "toybox", input="a red car\n# no\na dog\n")
    assert done.exit_code == 0, done.exception
    assert [row.prompt for row in batches[0][0].rows] == ["a red car", "a dog"]


@pytest.mark.parametrize(("ends", "code"), [(Stopped(), 130), (KeyboardInterrupt(), 130)])
def test_a_batch_that_is_stopped_says_how_to_go_on(
    run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ends: BaseException, code: int
) -> None:
    def make(*given: Any, **more: Any) -> Any:
        raise ends

    monkeypatch.setattr("df3d.batches.make.make", make)
    (tmp_path / "list.txt").write_text("a red car\n")
    done = run("batch", "list.txt", "-o", "many", "--device", "cpu", "--recipe", "toybox")
    assert done.exit_code == code
    assert "run the same command again to do what is left" in done.output


def test_a_batch_with_a_run_that_failed_ends_badly(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failed = [State(Row("a red car", 0, "a-red-car"), "failed", "it went wrong")]
    monkeypatch.setattr("df3d.batches.make.make", lambda *given, **more: failed)
    (tmp_path / "list.txt").write_text("a red car\n")
    done = run("batch", "list.txt", "-o", "many", "--device", "cpu", "--recipe", "toybox", "--json")
    assert isinstance(done.exception, RunError)
    assert json.loads(done.stdout)["message"] == "it went wrong"


class Works:
    """In the place of a worker: makes nothing, and ends as it is told."""

    def __init__(self, *names: str, left: int = 0, ends: BaseException | None = None) -> None:
        self.names, self._left, self._ends, self.asked = names, left, ends, {}

    def __call__(self, folder: Path, catalog: Catalog, **more: Any) -> Works:
        self.asked = {"folder": folder, **more}
        return self

    def work(self, names: Any = None) -> Any:
        yield from self.names if names is None else names
        if self._ends:
            raise self._ends

    def left(self) -> list[str]:
        return ["a: no"] * self._left


@pytest.mark.parametrize(
    ("worker", "code"),
    [
        (Works("a"), 0),
        (Works("a", left=1), 1),
        (Works(ends=Stopped()), 130),
        (Works(ends=KeyboardInterrupt()), 130),
    ],
)
def test_a_worker_tells_by_its_exit_code_what_came_of_it(
    run: Any, monkeypatch: pytest.MonkeyPatch, worker: Works, code: int
) -> None:
    monkeypatch.setattr("df3d.batches.worker.Worker", worker)
    done = run("batch", "--worker", "many", "--retries", "5", "--timeout", "90s")
    assert (done.exit_code, done.stdout) == (code, "")
    assert worker.asked == {"folder": Path("many"), "retries": 5, "timeout": 90.0}


def test_a_worker_that_is_handed_its_runs_tells_each_after_its_turn(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("df3d.batches.worker.Worker", Works())
    done = run("batch", "--worker", "many", "--names", input="one\n two \n")
    assert (done.exit_code, done.stdout) == (0, "one\ntwo\n")
    monkeypatch.setattr("df3d.batches.worker.Worker", Works(ends=Spoiled()))
    assert run("batch", "--worker", "many", "--names", input="").exit_code == 75


def test_a_spoiled_worker_makes_place_for_a_new_one_with_the_same_arguments(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("df3d.batches.worker.Worker", Works(ends=Spoiled()))
    monkeypatch.setattr(command.os, "execv", lambda path, arguments: seen.append(arguments))
    monkeypatch.setattr(command.sys, "argv", ["df3d", "batch", "--worker", "many", "--retries", "5"])
    run("batch", "--worker", "many")
    assert seen == [[command.sys.executable, "-m", "df3d", "batch", "--worker", "many", "--retries", "5"]]


# ---------------------------------------------------------------------------------------------- export, render, view
def test_an_export_is_made_as_it_is_asked_for(run: Any, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(
        "df3d.api.export", lambda run, format, **more: seen.append({"run": run, "format": format, **more}) or Path("x.obj")
    )
    options = "--stage fine --resolution 64 --threshold 2.5 --faces 10 --texture-size 128 --normal-map --lit --scale 2"
    options += " --origin base --up z"
    done = run("export", "car", "-f", "obj", "-o", "there", "--device", "cpu", *options.split())
    assert done.stdout == "x.obj\n"
    events = seen[0].pop("on_event")
    assert seen[0] == {
        "run": Path("car"), "format": "obj", "out": Path("there"), "stage": "fine", "device": "cpu", "catalog": catalog,
        "resolution": 64, "threshold": 2.5, "faces": 10, "texture_size": 128, "normal_map": True, "unlit": False, "scale": 2.0,
        "origin": "base", "up": "z",
    }  # fmt: skip
    assert events is not None
    run("export", "car", "--quiet")
    assert seen[1].pop("on_event") is None
    assert {name for name, value in seen[1].items() if value is not None} == {"run", "device", "catalog"}


def test_a_turntable_is_drawn_as_it_is_asked_for(run: Any, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    monkeypatch.setattr("df3d.api.render", lambda asset, out, **more: seen.append((asset, out, more)) or Path("x.png"))
    options = "--views 3 --size 64 --elevation -20 --shading albedo --background 0,0.5,1 --device cpu"
    done = run("render", "car.glb", "-o", "x.png", *options.split())
    assert done.stdout == "x.png\n"
    asset, out, more = seen[0]
    more.pop("on_note")("odd")
    assert (asset, out) == (Path("car.glb"), Path("x.png"))
    assert more == {
        "views": 3, "size": 64, "elevation": -20.0, "shading": "albedo", "background": (0.0, 0.5, 1.0), "device": "cpu",
        "catalog": catalog,
    }  # fmt: skip
    run("render", "car.glb")
    told = {name: seen[1][2][name] for name in ("views", "size", "elevation", "shading", "background")}
    assert told == {"views": 24, "size": 256, "elevation": 15.0, "shading": "lit", "background": (1.0, 1.0, 1.0)}
    assert seen[1][1] is None


@pytest.mark.parametrize("text", ["red", "1,1", "1,1,1,1", "0,0,1.1", "-0.1,0,0", "nan,0,0", "1,,1"])
def test_what_is_no_colour_is_refused(text: str) -> None:
    assert render._color("0,0.5,1") == (0.0, 0.5, 1.0)
    with pytest.raises(ConfigError, match="is not a colour"):
        render._color(text)


def test_a_page_is_opened_unless_one_does_not_want_it(run: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    trimesh.creation.box().export(tmp_path / "box.ply")
    assert run("view", "box.ply", "--no-open").stdout == "box.html\n"
    assert opened == []
    assert run("view", "box.ply").stdout == "box.html\n"
    assert opened == [(tmp_path / "box.html").as_uri()]
    (tmp_path / "mine.html").write_text("mine")
    assert run("view", "box.ply", "--no-open", "-o", "mine.html").stdout == "mine.html\n"  # it was named
    assert "df3d" in (tmp_path / "mine.html").read_text()
    for out in ("no/page.html", "page.htm"):
        assert isinstance(run("view", "box.ply", "-o", out).exception, ConfigError)


def test_a_list_is_read_as_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "list.txt").write_text("a café\n", encoding="utf-8")
    assert command._text(str(tmp_path / "list.txt")) == "a café\n"
    monkeypatch.setattr("sys.stdin", io.StringIO("a dog\n"))
    assert command._text("-") == "a dog\n"
