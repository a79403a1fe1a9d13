"""How a batch is shown where there is no terminal: lines for people, assets or JSON for programs, each once."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from df3d.batches import attempts, plan, summary, worker
from df3d.batches.lists import Mistakes, entries
from df3d.batches.plan import Row
from df3d.batches.summary import State
from df3d.cli import batch as command
from df3d.cli import build
from df3d.cli.batch_view import BatchView, doing_table
from df3d.errors import ConfigError
from df3d.events import Stepped
from df3d.plugin.catalog import Catalog

CAR, DOG, CAT = (Row(f"a {name}", 0, f"a-{name}") for name in ("car", "dog", "cat"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A batch of three, of which the first is done."""
    mistakes = Mistakes("l")
    plan.save(plan.expand(entries(["a car", "a dog", "a cat"], mistakes), [0], "toybox", [], "cpu", mistakes), tmp_path)
    finish(tmp_path, CAR, 60.0)
    return tmp_path


def finish(folder: Path, row: Row, seconds: float) -> None:
    place = folder / row.folder
    place.mkdir()
    (place / "run.json").write_text(json.dumps({"status": "finished", "asset": "asset.glb", "seconds": seconds}))
    (place / "asset.glb").touch()


def view_of(done: list[State], *, first: int, seconds: float) -> BatchView:
    view = BatchView(Path(), tell=True, json=False)
    view._done = {state.row.folder: state for state in done}
    view._first, view._began = first, time.monotonic() - seconds
    return view


def test_the_time_left_is_told_at_the_pace_so_far() -> None:
    done = [State(CAR, "done", seconds=30.0)]
    left = [State(DOG, "waiting"), State(CAT, "begun"), State(Row("x", 1, "x"), "running"), State(Row("y", 1, "y"), "failed")]
    assert view_of(done, first=0, seconds=120)._left([*done, *left]) == "; about 6 min left"  # three, of two minutes each
    assert view_of(done, first=0, seconds=1)._left([*done, *left]) == "; about 1 min left"  # at the least
    assert view_of(done, first=1, seconds=120)._left([*done, *left]) == ""  # it was done before
    assert view_of(done, first=0, seconds=120)._left(done) == ""
    slow = [State(CAR, "done", seconds=1200.0), State(DOG, "done", seconds=600.0), State(CAT, "done", seconds=6000.0)]
    assert view_of(slow, first=0, seconds=120)._left([*slow, State(Row("x", 1, "x"), "running")]) == "; about 20 min left"


def test_each_asset_is_told_once_and_looks_are_seldom(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with BatchView(folder, tell=True, json=False) as view:
        view.look()
        finish(folder, DOG, 5.0)
        view.look()
        told = capsys.readouterr()
        assert told.out == f"{folder}/a-car/asset.glb\n"
        assert told.err == "1 done, 2 waiting\n"
        view.finish(summary.states(folder))
    told = capsys.readouterr()
    assert (told.out, told.err) == (f"{folder}/a-dog/asset.glb\n", "2 done, 1 waiting\n")


def test_with_json_every_run_is_told_at_the_end(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with BatchView(folder, tell=True, json=True) as view:
        view.look()
        assert [json.loads(line)["folder"] for line in capsys.readouterr().out.splitlines()] == ["a-car"]
        view.finish()
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["folder"], row["state"]) for row in rows] == [("a-dog", "waiting"), ("a-cat", "waiting")]


def test_where_there_is_a_best_it_alone_is_told_and_not_before_it_is_known(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finish(folder, DOG, 5.0)
    found = [State(CAR, "done"), State(DOG, "done", scores=(("a.b", 1.0),), best=True), State(CAT, "failed")]
    view = BatchView(folder, tell=False, json=False)
    view.look()
    view.finish()  # stopped
    BatchView(folder, tell=False, json=True).finish()
    assert capsys.readouterr().out == ""
    view.finish(found)
    assert capsys.readouterr().out == f"{folder}/a-dog/asset.glb\n"


def test_what_workers_do_is_told_with_its_step(folder: Path) -> None:
    now = worker.Now(folder)
    now.tell(DOG, Stepped("coarse", 3, 10, 0.25, {}))
    table = doing_table(folder)
    assert [str(next(iter(column.cells))) for column in table.columns][1:] == ["a-dog", "coarse", "3/10", "0.25"]
    now.tell(DOG, Stepped("coarse", 4, 10, 0.25, {}))  # at once: it is told seldom
    assert [doing.step for doing in worker.doing(folder)] == [3]
    now.end()
    assert doing_table(folder).rows == []
    assert not (folder / ".batch" / "workers").exists()


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1800), ("2h", 7200), ("1d", 86400), ("45", 45), ("1.5h", 5400), (" 5 s ", 5)]
)
def test_times_have_units(text: str, seconds: float) -> None:
    assert command._seconds(text) == seconds


@pytest.mark.parametrize("text", ["0", "0s", "soon", "-5s", "5w", "", "1h30m"])
def test_what_is_no_time_is_refused(text: str) -> None:
    assert command._seconds(None) is None
    with pytest.raises(ConfigError, match="is not a time"):
        command._seconds(text)


def test_status_tells_why_and_how_long_and_retry_how_many(folder: Path, catalog: Catalog) -> None:
    attempts.save(folder, DOG, attempts.Attempts(2, "it went wrong"))
    app: typer.Typer = build(catalog)
    done = CliRunner().invoke(app, ["batch", "status", str(folder)])
    rows = [" ".join(line.split()) for line in done.stdout.splitlines()]
    assert rows[1:4] == ["done a car 0 60 s", "failed a dog 0 it went wrong", "waiting a cat 0"]
    told = CliRunner().invoke(app, ["batch", "retry", str(folder)])
    assert "1 failed runs will be tried again" in told.output
    assert [state.state for state in summary.states(folder)] == ["done", "waiting", "waiting"]
    assert not list((folder / ".batch" / "attempts").iterdir())
