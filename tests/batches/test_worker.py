"""A worker with runs that take no time, and those who look after workers: what is tried again, given up, and replaced."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from df3d.batches import attempts, make, plan, worker
from df3d.batches.attempts import Attempts
from df3d.batches.lists import Mistakes, entries
from df3d.batches.worker import REPLACE, Spoiled, Worker
from df3d.errors import InUseError, ModelError, RunError, Stopped
from df3d.events import RunStarted
from df3d.plugin.catalog import Catalog


@dataclass(frozen=True)
class Job:
    """A run that does what `does` says, which hears the folder and the seed."""

    does: Callable[[Path, int], None]
    stop: threading.Event
    kept: Any = None

    def run(self, place: Path, seed: int, tell: Any) -> None:
        tell(RunStarted(place, "a red car", "toybox", "cpu", seed, {}))
        self.does(place, seed)
        (place).mkdir(exist_ok=True)
        (place / "run.json").write_text('{"status": "finished", "asset": "asset.glb"}')
        (place / "asset.glb").touch()


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What runs do, and with what they are asked for."""
    told: dict[str, Any] = {"does": lambda place, seed: None, "asked": [], "kept": []}

    def prepare(prompt: str, **more: Any) -> Job:
        told["asked"].append((prompt, more))
        return Job(lambda place, seed: told["does"](place, seed), threading.Event())

    monkeypatch.setattr(worker, "prepare", prepare)
    return told


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    mistakes = Mistakes("l")
    rows = [{"prompt": "a car"}, {"prompt": "a dog", "seed": 3, "negative": "blurry", "recipe": "mine", "set": {"steps": 5}}]
    plan.save(plan.expand(entries(rows, mistakes), [0], "toybox", ["steps=2"], "cpu", mistakes), tmp_path)
    return tmp_path


def fail_with(error: Exception, runs: dict[str, Any]) -> list[str]:
    """Let every run fail; what comes back has the folders that were tried."""
    tried: list[str] = []

    def does(place: Path, seed: int) -> None:
        tried.append(place.name)
        raise error

    runs["does"] = does
    return tried


def test_a_run_is_asked_for_as_its_row_says(folder: Path, catalog: Catalog, runs: dict[str, Any]) -> None:
    seeds = []
    runs["does"] = lambda place, seed: seeds.append(seed)
    assert list(Worker(folder, catalog).work()) == ["a-car", "a-dog-seed3"]
    assert seeds == [0, 3]
    shared = {"device": "cpu", "catalog": catalog}
    assert runs["asked"] == [
        ("a car", {"recipe": "toybox", "settings": ["steps=2"], "negative": "", **shared}),
        ("a dog", {"recipe": "mine", "settings": ["steps=2", "steps=5"], "negative": "blurry", **shared}),
    ]
    assert list(Worker(folder, catalog).work()) == ["a-car", "a-dog-seed3"]
    assert len(runs["asked"]) == 2  # what is finished is left alone


def test_only_the_runs_that_are_named_are_made(folder: Path, catalog: Catalog, runs: dict[str, Any]) -> None:
    assert list(Worker(folder, catalog).work(iter(["a-dog-seed3"]))) == ["a-dog-seed3"]
    assert [prompt for prompt, _ in runs["asked"]] == ["a dog"]


@pytest.mark.parametrize("retries", [0, 2])
def test_a_run_that_fails_is_tried_so_many_times_more(
    folder: Path, catalog: Catalog, runs: dict[str, Any], retries: int, capsys: pytest.CaptureFixture[str]
) -> None:
    tried = fail_with(RunError("it went wrong"), runs)
    own = Worker(folder, catalog, retries=retries)
    assert list(own.work()) == ["a-car", "a-dog-seed3"]
    assert tried == ["a-car"] * (retries + 1) + ["a-dog-seed3"] * (retries + 1)
    assert own.left() == ["a-car: it went wrong", "a-dog-seed3: it went wrong"]
    assert attempts.of(folder, own.batch.rows[0]) == Attempts(retries + 1, "it went wrong")
    assert capsys.readouterr().err.splitlines().count("error: a-car: it went wrong") == retries + 1


def test_what_comes_of_it_at_last_has_not_failed(folder: Path, catalog: Catalog, runs: dict[str, Any]) -> None:
    count = []

    def does(place: Path, seed: int) -> None:
        count.append(place)
        if len(count) < 3:
            raise ValueError("not yet")

    runs["does"] = does
    own = Worker(folder, catalog, retries=2)
    assert list(own.work(["a-car"])) == ["a-car"]
    assert own.left() == []
    assert attempts.of(folder, own.batch.rows[0]) == Attempts()


@pytest.mark.parametrize(
    ("error", "spoils"),
    [
        (MemoryError(), True), (RuntimeError("CUDA error: an illegal memory access was encountered"), True),
        (RuntimeError("a bug"), False), (ModelError("CUDA error, as the model says"), False),
    ],
)  # fmt: skip
def test_a_process_that_may_be_spoiled_makes_no_other_run(
    folder: Path, catalog: Catalog, runs: dict[str, Any], error: Exception, spoils: bool
) -> None:
    tried, own = fail_with(error, runs), Worker(folder, catalog)
    if spoils:
        with pytest.raises(Spoiled):
            list(own.work())
    else:
        list(own.work())
    assert tried == (["a-car"] if spoils else ["a-car", "a-dog-seed3"])
    assert attempts.of(folder, own.batch.rows[0]).times == 1


def test_models_are_loaded_anew_after_a_run_that_failed(folder: Path, catalog: Catalog, runs: dict[str, Any]) -> None:
    own, forgot = Worker(folder, catalog), []
    own._kept.forget = lambda: forgot.append(1)  # type: ignore[method-assign]
    list(own.work(["a-car"]))
    assert forgot == []
    fail_with(RunError("no"), runs)
    list(own.work(["a-dog-seed3"]))
    assert forgot == [1]


def test_a_run_of_another_worker_is_left_to_it(folder: Path, catalog: Catalog, runs: dict[str, Any]) -> None:
    def prepare(place: Path, seed: int) -> None:
        raise InUseError("in use")

    runs["does"] = prepare
    own = Worker(folder, catalog, retries=5)
    assert list(own.work()) == ["a-car", "a-dog-seed3"]
    assert len(runs["asked"]) == 2
    assert own.left() == []


def test_one_that_is_stopped_has_not_died(folder: Path, catalog: Catalog, runs: dict[str, Any]) -> None:
    fail_with(Stopped(), runs)  # type: ignore[arg-type]
    own = Worker(folder, catalog)
    for _ in range(3):
        with pytest.raises(Stopped):
            list(own.work())
    assert attempts.of(folder, own.batch.rows[0]) == Attempts()
    assert not (folder / ".batch" / "workers").exists()


# ---------------------------------------------------------------------------------------------- those who look after them
class Launcher:
    """Workers that end at once, one after the other, with these codes; None: it works until it is cancelled, and ends with 130."""

    def __init__(self, *codes: int | None) -> None:
        self.codes, self.started, self.cancelled = list(codes), [], 0

    def start(self, command: Any, count: int, environment: Any) -> list[Any]:
        self.started.append(count)
        return [Ended(self, self.codes.pop(0)) for _ in range(count)]


class Ended:
    def __init__(self, launcher: Launcher, code: int | None) -> None:
        self._launcher, self._code, self._looks = launcher, code, 0

    def poll(self) -> int | None:
        if self._looks:  # it saves, which takes a while
            self._looks -= 1
            self._code = None if self._looks else 130
        return self._code

    def cancel(self) -> None:
        self._launcher.cancelled += 1
        self._looks = self._looks or (3 if self._code is None else 0)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(10_000))
    monkeypatch.setattr(make, "time", SimpleNamespace(sleep=lambda seconds: None, monotonic=lambda: next(clock)))


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    ("codes", "started"),
    [((0, 1), [2]), ((130, 0), [2]), ((REPLACE, 0, 0), [2, 1]), ((-9, -9, 0, 1), [2, 1, 1]), ((0, -9, -11, 3, 0), [2, 1, 1, 1])],
)
def test_workers_that_end_otherwise_than_by_themselves_are_replaced(
    folder: Path, codes: tuple[int, ...], started: list[int]
) -> None:
    launcher = Launcher(*codes)
    make._oversee(launcher, [], 2, folder, lambda: None, threading.Event())
    assert launcher.started == started
    assert launcher.codes == []


@pytest.mark.usefixtures("at_once")
def test_those_that_get_something_done_are_replaced_for_ever(folder: Path) -> None:
    """Ten that are killed in a row, each after a checkpoint; and six that save nothing are too many."""
    (folder / "a-car" / "coarse").mkdir(parents=True)
    count = iter(range(100))

    def look() -> None:
        (folder / "a-car" / "coarse" / f"step-{next(count):06d}.safetensors").touch()

    launcher = Launcher(*[-9] * 10, 0)
    make._oversee(launcher, [], 1, folder, look, threading.Event())
    assert len(launcher.started) == 11
    with pytest.raises(RunError, match="6 workers in a row ended, the last with exit code -9"):
        make._oversee(Launcher(*[-9] * 6), [], 1, folder, lambda: None, threading.Event())


@pytest.mark.usefixtures("at_once")
def test_who_stops_asks_each_worker_once_and_replaces_none(folder: Path) -> None:
    stop, looks = threading.Event(), []

    def look() -> None:
        looks.append(1)
        if len(looks) == 3:
            stop.set()

    launcher = Launcher(None, None)
    make._oversee(launcher, [], 2, folder, look, stop)
    assert (launcher.cancelled, launcher.started) == (2, [2])
    stop.set()
    killed = Launcher(-9)
    make._oversee(killed, [], 1, folder, lambda: None, stop)
    assert killed.started == [1]


@pytest.mark.usefixtures("at_once")
def test_whatever_goes_wrong_meanwhile_ends_the_workers(folder: Path) -> None:
    def look() -> None:
        raise ZeroDivisionError

    launcher = Launcher(None, None)
    with pytest.raises(ZeroDivisionError):
        make._oversee(launcher, [], 2, folder, look, threading.Event())
    assert launcher.cancelled == 2


def test_the_command_of_workers_says_how_often_and_how_long(
    folder: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []
    monkeypatch.setattr(make, "_oversee", lambda launcher, command, count, *rest: seen.append((command, count)))
    listed = plan.load(folder)
    found = make.make(listed, folder, make.crew(catalog, "local", workers=9, retries=4, timeout=90.0))
    ((command, count),) = seen
    assert command[1:] == ["-m", "df3d", "batch", "--worker", str(folder), "--retries", "4", "--timeout", "90s"]
    assert count == 2
    assert [state.state for state in found] == ["waiting", "waiting"]
    assert {path.name for path in folder.iterdir()} >= {"batch.json", "batch.csv", "index.html"}
    make.make(listed, folder, make.crew(catalog, "local"), choose=lambda states: states[:1])
    assert "--timeout" not in seen[1][0]
    assert (folder / "batch.csv").read_text().count("\n") == 2  # what was chosen is what is written
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        make.make(listed, folder, make.crew(catalog, "local"), stop=stop)
