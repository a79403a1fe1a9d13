"""What is told of a batch: states, the CSV, the gallery, and what is remembered of tries that failed."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from df3d.batches import attempts, forecast, plan, summary
from df3d.batches.attempts import Attempts
from df3d.batches.lists import Mistakes, entries, read
from df3d.batches.make import check_all_done, crew
from df3d.batches.plan import Row
from df3d.batches.summary import State
from df3d.batches.worker import Now
from df3d.errors import ConfigError, RunError
from df3d.events import RunStarted
from df3d.plugin.catalog import Catalog
from df3d.prompt import Prompt
from df3d.recipe import recipe as recipes
from df3d.recipe.compose import compose
from df3d.recipe.settings import override

CAR, DOG = Row("a car", 0, "a-car"), Row("a dog", 3, "a-dog-seed3")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    mistakes = Mistakes("l")
    listed = entries([{"prompt": "a car"}, {"prompt": "a dog", "seed": 3}], mistakes)
    plan.save(plan.expand(listed, [0], "toybox", [], "cpu", mistakes), tmp_path)
    return tmp_path


def finish(folder: Path, row: Row, **told: object) -> None:
    (folder / row.folder).mkdir(exist_ok=True)
    (folder / row.folder / "run.json").write_text(json.dumps({"status": "finished", "asset": "asset.glb", **told}))
    (folder / row.folder / "asset.glb").touch()


# ---------------------------------------------------------------------------------------------- tries
def test_a_worker_that_died_at_the_same_place_twice_counts_once_each_time() -> None:
    begun = Attempts().begin("")
    assert (begun.times, begun.begun) == (0, "")
    died = begun.begin("")
    assert (died.times, died.message, died.begun) == (1, attempts.DIED, "")
    assert died.begin("coarse/step-2").times == 1  # it got on
    assert died.failed("no") == Attempts(2, "no")  # and it ended, so nothing is begun


def test_tries_are_kept_until_there_is_nothing_to_keep(folder: Path) -> None:
    assert attempts.of(folder, CAR) == Attempts()
    for tries in (Attempts(2, "na\u00efve"), Attempts(0, "", "coarse/step-1"), Attempts(1, "no", "")):
        attempts.save(folder, CAR, tries)
        assert attempts.of(folder, CAR) == tries
        assert attempts.of(folder, DOG) == Attempts()
    attempts.save(folder, CAR, Attempts())
    assert not list((folder / ".batch" / "attempts").iterdir())
    attempts.save(folder, CAR, Attempts())  # and once more
    attempts.save(folder, CAR, Attempts(0, "", "x"))
    attempts.save(folder, DOG, Attempts(2, "no"))
    assert attempts.forget(folder) == 1  # the other has only begun
    assert attempts.of(folder, CAR) == attempts.of(folder, DOG) == Attempts()


def test_how_far_a_run_is_changes_with_each_checkpoint(tmp_path: Path) -> None:
    assert attempts.how_far(tmp_path) == ""
    for name in ("fine/step-000002", "coarse/step-000010"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / f"{name}.safetensors").touch()
        (tmp_path / f"{name}.json").touch()
    assert attempts.how_far(tmp_path) == "coarse/step-000010 fine/step-000002"


# ---------------------------------------------------------------------------------------------- states
def test_states_are_told_in_the_order_of_the_list(folder: Path) -> None:
    assert [(state.row.folder, state.state) for state in summary.states(folder)] == [
        ("a-car", "waiting"),
        ("a-dog-seed3", "waiting"),
    ]
    (folder / "a-dog-seed3").mkdir()
    (folder / "a-dog-seed3" / "run.json").write_text("{}")
    assert [state.state for state in summary.states(folder)] == ["waiting", "begun"]
    attempts.save(folder, DOG, Attempts(1, "no"))
    assert (summary.states(folder)[1].state, summary.states(folder)[1].message) == ("failed", "no")
    Now(folder).tell(DOG, RunStarted(folder, "a dog", "toybox", "cpu", 3, {}))
    assert summary.states(folder)[1].state == "running"  # it is tried again
    finish(folder, DOG, seconds=12.5)
    assert (summary.states(folder)[1].state, summary.states(folder)[1].seconds) == ("done", 12.5)
    (folder / "a-dog-seed3" / "scores.json").write_text('{"scores": {"one.x": 1}}')
    assert summary.states(folder)[1].scores == (("one.x", 1.0),)
    for damaged in ("{", "[]", '{"scores": {"one.x": "much"}}', '{"scores": 3}'):
        (folder / "a-dog-seed3" / "scores.json").write_text(damaged)
        assert summary.states(folder)[1].scores == ()


def test_what_is_done_is_not_looked_at_again(folder: Path) -> None:
    known: dict[str, State] = {}
    finish(folder, CAR)
    first = summary.states(folder, known)
    assert set(known) == {"a-car"}
    (folder / "a-car" / "asset.glb").unlink()
    assert summary.states(folder, known)[0] is first[0]
    assert summary.states(folder)[0].state == "begun"


def test_progress_is_whatever_is_done_fails_or_saves(folder: Path) -> None:
    seen = [summary.progress(folder)]
    (folder / "a-car" / "coarse").mkdir(parents=True)
    (folder / "a-car" / "coarse" / "step-000001.safetensors").touch()
    seen.append(summary.progress(folder))
    attempts.save(folder, DOG, Attempts(1, "no"))
    seen.append(summary.progress(folder))
    assert len(set(seen)) == 3
    assert summary.progress(folder) == seen[-1]


def test_states_are_counted_from_done_to_waiting() -> None:
    found = [State(CAR, name) for name in ("waiting", "failed", "done", "waiting", "running", "begun")]
    assert summary.counted(found) == "1 done, 1 failed, 1 running, 1 begun, 2 waiting"
    assert summary.counted([]) == "empty"


FOUND = [
    State(CAR, "done", seconds=59.6, scores=(("one.x", 0.123456),), best=True),
    State(Row("=a <dog>", 3, "a-dog-seed3"), "failed", "it <went> wrong"),
]


def test_the_csv_has_a_row_for_each_run_and_a_column_for_each_measure(folder: Path) -> None:
    finish(folder, CAR)
    summary.write(folder, FOUND)
    rows = list(csv.DictReader((folder / plan.TABLE).read_text().splitlines()))
    assert list(rows[0]) == ["prompt", "seed", "folder", "state", "seconds", "message", "best", "one.x"]
    assert list(rows[0].values()) == ["a car", "0", "a-car", "done", "59.6", "", "True", "0.123456"]
    assert list(rows[1].values()) == ["'=a <dog>", "3", "a-dog-seed3", "failed", "0.0", "it <went> wrong", "", ""]


def test_the_gallery_shows_what_is_done_and_says_what_is_not(folder: Path) -> None:
    finish(folder, CAR)
    page = summary.gallery(folder, FOUND)
    assert "<title>1 done, 1 failed</title>" in page
    assert '<figure class="best"><a href="a-car/asset.glb">' in page
    assert "a car<br>seed 0, 60 s<br>one.x 0.1235</figcaption>" in page
    assert "=a &lt;dog&gt;<br>" in page
    assert '<span class="failed">failed</span> it &lt;went&gt; wrong' in page
    assert page.count("<figure") == 2


def test_a_run_that_waits_has_not_failed() -> None:
    check_all_done([State(CAR, "done"), State(DOG, "waiting"), State(DOG, "begun"), State(DOG, "running")])
    with pytest.raises(RunError, match="2 of 3 runs failed, `a dog` first: no") as error:
        check_all_done([State(CAR, "done"), State(DOG, "failed", "no"), State(CAR, "failed", "other")])
    assert "df3d batch retry" in error.value.hint


# ---------------------------------------------------------------------------------------------- lists, crews, forecasts
def test_a_hint_is_told_once() -> None:
    mistakes = Mistakes("l.csv")
    read("prompt,sed\na car,1\na dog,2\n", mistakes)
    with pytest.raises(ConfigError) as error:
        mistakes.tell()
    assert error.value.message.count("did you mean") == 1
    assert error.value.message.startswith("2 rows of `l.csv` cannot be made: line 2: unknown key `sed` (did you mean")
    assert error.value.hint == "mend them: nothing was begun"


def test_ten_mistakes_are_all_told() -> None:
    for count, end in ((1, ""), (10, ""), (11, "; and 1 more")):
        mistakes = Mistakes("l.csv")
        read("prompt,seed\n" + "a car,x\n" * count, mistakes)
        with pytest.raises(ConfigError) as error:
            mistakes.tell()
        assert error.value.message.startswith(f"{count} row{'s' if count > 1 else ''} of")
        assert error.value.message.count("`seed` is") == min(count, 10)
        assert ("more" in error.value.message) == bool(end)
        assert error.value.message.endswith(end)


@pytest.mark.parametrize(("seed", "right"), [(0, True), ("7", True), (2**31 - 1, True), (2**31, False), (-1, False), (1.5, False)])
def test_seeds_are_whole_numbers_that_a_generator_takes(seed: object, right: bool) -> None:
    mistakes = Mistakes("l")
    found = entries([{"prompt": "a car", "seed": seed}], mistakes)
    assert [entry.seed for entry in found] == ([int(seed)] if right else [])  # type: ignore[call-overload]


@pytest.mark.parametrize("out", ["a/b", "..", ".hidden", "a\\b", "/abs"])
def test_a_folder_of_a_row_is_inside_the_batchs(out: str) -> None:
    mistakes = Mistakes("l")
    assert entries([{"prompt": "a car", "out": out}], mistakes) == []
    with pytest.raises(ConfigError, match="is the name of a folder inside the batch's"):
        mistakes.tell()


@pytest.mark.parametrize("out", ["INDEX.html", "Batch.CSV", "batch.json"])
def test_the_batchs_own_files_are_no_folders_of_runs_however_they_are_written(out: str) -> None:
    mistakes = Mistakes("l")
    plan.expand(entries([{"prompt": "a car", "out": out}], mistakes), [0], "toybox", [], "cpu", mistakes)
    with pytest.raises(ConfigError, match="is a file of the batch itself"):
        mistakes.tell()


def test_folders_that_differ_in_capitals_alone_are_one() -> None:
    mistakes = Mistakes("l")
    told = entries([{"prompt": "a car", "out": "Mine"}, {"prompt": "a dog", "out": "mine"}], mistakes)
    plan.expand(told, [0], "toybox", [], "cpu", mistakes)
    with pytest.raises(ConfigError, match="line 2: its folder `mine` is that of line 1"):
        mistakes.tell()


def test_no_more_workers_are_started_than_there_are_runs(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("df3d.batches.launchers.local.LocalLauncher.workers", lambda self: 6)
    assert [crew(catalog, "local", workers=4).count(runs) for runs in (1, 3, 4, 9)] == [1, 3, 4, 4]
    assert [crew(catalog, "local").count(runs) for runs in (0, 5, 9)] == [1, 5, 6]  # as many as the launcher finds right
    assert crew(catalog, "print").count(9) == 1  # it does not know


def test_what_a_crew_is_told_reaches_its_launcher(catalog: Catalog) -> None:
    found = crew(catalog, "local", ["threads=3"], gpus=0.5, workers=2, retries=7, timeout=9.0)
    assert (found.config.threads, found.config.gpus, found.workers, found.retries, found.timeout) == (3, 0.5, 2, 7, 9.0)
    assert crew(catalog, "local", ["gpus=2"], gpus=0.5).config.gpus == 0.5
    assert crew(catalog, "local").retries == 2
    with pytest.raises(ConfigError, match="launcher `print` has no option `x`") as error:
        crew(catalog, "print", ["x=1"])
    assert error.value.hint == "it has none"


def test_the_forecast_takes_the_middle_of_what_runs_took_and_the_most_of_their_memory(folder: Path, catalog: Catalog) -> None:
    done = []
    for row, seconds, memory in ((CAR, 60.0, 1000), (DOG, 600.0, 3000), (Row("x", 0, "x"), 120.0, 2000)):
        finish(folder, row, seconds=seconds, peak_memory_mib=memory)
        done.append(State(row, "done", seconds=seconds))
    text = forecast.forecast(plan.load(folder), folder, [*done, State(CAR, "done")], 3, 1, catalog)
    assert text == "about 6 minutes, at the pace of the 3 that are done; each takes about 3.1 GB of memory"


def test_steps_are_timed_early_in_the_middle_and_late_and_not_the_first_of_each(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a clock that goes on by two seconds with each step: 11 steps of one stage and 21 of the other take 64."""
    clock, steps, threads = [0.0], [], []
    parts = SimpleNamespace(guidance={}, field=object())
    built: list[dict[str, Any]] = []
    monkeypatch.setattr("df3d.run.parts.build", lambda stage, **how: built.append(how) or parts)

    def advance(stage: Any, parts: Any, encoded: Any, step: Any, device: str) -> dict[str, float]:
        clock[0] += 2.0
        steps.append((step.stage, step.index, step.of))
        return {"skipped": 0.0}

    monkeypatch.setattr("df3d.run.stage.advance", advance)
    monkeypatch.setattr("torch.set_num_threads", threads.append)
    monkeypatch.setattr(forecast, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    recipe = override(recipes.find("toybox", catalog), [("coarse.steps", 11), ("fine.steps", 21)], catalog)
    assert forecast.measured(compose(recipe, catalog), Prompt("a red car"), "cpu", 3) == 64.0
    assert steps == [("coarse", i, 11) for i in (1, 1, 5, 5, 9, 9)] + [("fine", i, 21) for i in (2, 2, 10, 10, 18, 18)]
    assert [how["start_from"] for how in built] == [None, parts.field]
    assert threads == [3]
