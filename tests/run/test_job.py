"""One run as a person asks for it: what is checked before it, what its folder holds, and who hears of it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from df3d.errors import ConfigError, PluginError, PromptError, RunError
from df3d.events import Event, Notice, RunFinished, RunStarted
from df3d.plugin.catalog import Catalog
from df3d.prompt import Picture
from df3d.run import generate, job
from df3d.run.job import Job, prepare
from df3d.run.rundir import RunDir
from df3d.schedule import LARGEST_SEED

TOLD: list[dict[str, Any]] = []


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, catalog: Catalog) -> Job:
    """A job whose story begins and ends at once."""
    TOLD.clear()

    def story(plan: object, prompt: object, run: RunDir, catalog: object, **options: Any) -> Iterator[Event]:
        TOLD.append(options)
        yield Notice("in between")
        yield RunFinished(run.path, run.path / "asset.glb", 1.0)

    monkeypatch.setattr(generate, "generate", story)
    return prepare("a red car", recipe="toybox", device="cpu", catalog=catalog)


def heard(work: Job, folder: Path, seed: int = 0) -> list[Event]:
    seen: list[Event] = []
    assert isinstance(work.run(folder, seed, seen.append), RunFinished)
    return seen


def logged(folder: Path) -> list[str]:
    path = folder / "events.jsonl"
    return [json.loads(line)["event"] for line in path.read_text().splitlines()] if path.exists() else []


def test_a_story_is_told_and_logged_with_what_was_decided_before(made: Job, tmp_path: Path) -> None:
    work = dataclasses.replace(made, notes=(Notice("decided before"),), until="coarse")
    seen = heard(work, tmp_path / "run", 3)
    assert [event.text for event in seen if isinstance(event, Notice)] == ["decided before", "in between"]
    assert logged(tmp_path / "run") == ["Notice", "Notice", "RunFinished"]
    (options,) = TOLD
    assert (options["device"], options["seed"], options["until"]) == ("cpu", 3, "coarse")


def test_what_is_unusual_about_the_folder_is_said_even_when_quiet(
    made: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("df3d.run.lock._locks_work", lambda path: False)
    first = heard(made, tmp_path / "run")[0]
    assert isinstance(first, Notice)
    assert first.instead
    assert "has no locks" in first.text


def test_a_run_that_was_finished_before_has_nothing_to_log(made: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RunDir, "asset", lambda self: self.path / "asset.glb")
    assert len(heard(made, tmp_path / "run")) == 2
    assert logged(tmp_path / "run") == []


def test_going_on_needs_something_to_go_on_with(made: Job, tmp_path: Path) -> None:
    work = dataclasses.replace(made, resume=True)
    with pytest.raises(RunError, match="there is no run to resume") as error:
        work.run(tmp_path / "run", 0, print)
    assert "--resume" in error.value.hint
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("seed", [-1, LARGEST_SEED + 1])
def test_a_seed_that_no_generator_takes_is_refused_before_anything_begins(made: Job, tmp_path: Path, seed: int) -> None:
    with pytest.raises(ConfigError, match="a seed is a whole number from 0 to 2,147,483,647"):
        made.run(tmp_path / "run", seed, print)
    assert not (tmp_path / "run").exists()


def test_starting_anew_clears_and_going_on_does_not(made: Job, tmp_path: Path) -> None:
    heard(made, tmp_path / "run")
    run = RunDir(tmp_path / "run")
    run.update_manifest({**made.prompt.record(), "seed": 0, "recipe": "toybox", "versions": {}})
    run.write_text("run.toml", made.plan.recipe.toml())
    run.expect(made.plan)
    checkpoint = tmp_path / "run" / "coarse" / "step-000002.safetensors"
    checkpoint.parent.mkdir()
    checkpoint.touch()
    for resume in (None, True):
        heard(dataclasses.replace(made, resume=resume), tmp_path / "run")
        assert checkpoint.exists()
    heard(dataclasses.replace(made, resume=False), tmp_path / "run")
    assert not checkpoint.exists()


def test_a_run_goes_on_with_the_settings_that_it_began_with(made: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float | None] = []

    def fit_into(plan: object, budget: float | None) -> tuple[list[tuple[str, Any]], list[str]]:
        asked.append(budget)
        return [("coarse.renderer.tile", 4096)], ["fewer views"]

    monkeypatch.setattr(job, "fit_into", fit_into)
    seen = heard(dataclasses.replace(made, vram="8G"), tmp_path / "run")
    assert asked == [8e9]
    assert seen[0] == Notice("fewer views", instead=True)
    assert RunDir(tmp_path / "run").manifest()["fit"] == [["coarse.renderer.tile", 4096]]
    (tmp_path / "run" / "run.toml").touch()
    assert made._fitting(tmp_path / "run") == ([("coarse.renderer.tile", 4096)], [])
    assert len(asked) == 1
    for other in (dataclasses.replace(made, vram="4G"), dataclasses.replace(made, resume=False)):
        other._fitting(tmp_path / "run")
    assert asked == [8e9, 4e9, None]


def test_settings_of_another_recipe_are_a_damaged_manifest(made: Job, tmp_path: Path) -> None:
    (tmp_path / "run.toml").touch()
    (tmp_path / "run.json").write_text('{"fit": [["nowhere.cameras.views", 1]]}')
    with pytest.raises(RunError, match="its `fit` is of another recipe") as error:
        made.run(tmp_path, 0, print)
    assert "--fresh" in error.value.hint


def test_a_listener_that_goes_away_stops_the_run_and_hears_no_more(made: Job, tmp_path: Path) -> None:
    calls: list[Event] = []

    def tell(event: Event) -> None:
        calls.append(event)
        raise BrokenPipeError

    made.run(tmp_path / "run", 0, tell)
    assert len(calls) == 1
    assert made.stop.is_set()
    assert logged(tmp_path / "run") == ["Notice", "RunFinished"]  # the log goes on
    assert RunDir(tmp_path / "run")._lock.acquire() is None  # it was let go of


def test_what_a_watching_plugin_gets_wrong_is_said(made: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Catalog, "on_event", lambda self, event: ["it fell over"] if isinstance(event, RunFinished) else [])
    seen = heard(made, tmp_path / "run")
    assert seen[1] == Notice("it fell over", instead=True)
    assert logged(tmp_path / "run") == ["Notice", "RunFinished", "Notice"]


def test_a_part_that_would_end_the_program_ends_the_run(made: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def story(*given: object, **options: object) -> Iterator[Event]:
        yield RunStarted(tmp_path, "x", "toybox", "cpu", 0, {})
        raise SystemExit(3)

    monkeypatch.setattr(generate, "generate", story)
    with pytest.raises(PluginError, match="a part ended the run: SystemExit 3"):
        made.run(tmp_path / "run", 0, lambda event: None)
    assert RunDir(tmp_path / "run")._lock.acquire() is None


def test_all_that_is_given_is_checked_before_anything_begins(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    for given, error, message in (
        ({"pictures": [Picture(tmp_path / "a.png")]}, PromptError, "picture .* cannot be read"),
        ({"mesh": tmp_path / "gone.glb"}, PromptError, "gone.glb` cannot be read"),
        ({"until": "coarsest"}, ConfigError, "recipe `toybox` has no stage `coarsest`"),
        ({"device": "tpu"}, ConfigError, "there is no device `tpu`"),
        ({"settings": ["coarse.field.levles=3"]}, ConfigError, "unknown key"),
    ):
        with pytest.raises(error, match=message):
            prepare("a red car", **{"recipe": "toybox", "device": "cpu", "catalog": catalog, **given})  # type: ignore[arg-type]
