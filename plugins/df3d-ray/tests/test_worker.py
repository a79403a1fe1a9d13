"""A worker of Ray through what may happen to it, with a cluster that is no more than a list of answers."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from df3d_ray import actor, launcher
from df3d_ray.actor import Hands
from df3d_ray.config import RayConfig
from df3d_ray.launcher import RayLauncher, RayWorker, Team, _check_answers
from df3d_ray.packing import notes_of, pack, put_notes, unpack

from df3d.errors import PluginError


class RayError(Exception): ...


class RayTaskError(RayError): ...


class Method:
    """`actor.method.remote(...)`, which notes what was asked."""

    def __init__(self, name: str, calls: list[tuple[str, tuple[Any, ...]]]) -> None:
        self._name, self._calls = name, calls

    def remote(self, *given: Any) -> str:
        self._calls.append((self._name, given))
        return self._name


class Actor:
    def __init__(self) -> None:
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Method:
        return Method(name, self.calls)

    @property
    def asked(self) -> list[str]:
        return [name for name, _ in self.calls]


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the cluster answers next; while there is nothing, the worker is at work."""
    waiting: list[Any] = []

    def get(reference: str) -> Any:
        answer = waiting.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def wait(references: list[str], timeout: float) -> tuple[list[str], list[str]]:
        return (references, []) if waiting else ([], references)

    module = SimpleNamespace(get=get, wait=wait, exceptions=SimpleNamespace(RayError=RayError, RayTaskError=RayTaskError))
    monkeypatch.setitem(sys.modules, "ray", module)
    return waiting


def about(sees: bool = True) -> dict[str, Any]:
    return {**Hands({}).about("/nowhere"), "sees": sees}


@pytest.fixture
def batch(tmp_path: Path) -> Path:
    (tmp_path / "batch.json").write_text(json.dumps({"rows": [{"folder": "one"}, {"folder": "two"}]}))
    return tmp_path


def test_a_worker_is_asked_who_it_is_then_works_and_tells_its_code(answers: list[Any], batch: Path) -> None:
    own = Actor()
    worker = RayWorker(own, ["python", "--worker", str(batch)], Team(batch, "yes"))
    assert worker.poll() is None
    answers += [about()]
    assert worker.poll() is None
    assert own.calls == [("about", (str(batch),)), ("work", (["python", "--worker", str(batch)],))]
    answers += [1]
    assert worker.poll() == 1
    assert worker.poll() == 1
    assert own.asked == ["about", "work"]


def test_one_whose_node_goes_is_asked_again_and_one_whose_task_fails_is_over(answers: list[Any], batch: Path) -> None:
    own = Actor()
    worker = RayWorker(own, ["python"], Team(batch, "yes"))
    answers += [about(), RayError("the node is gone")]
    assert worker.poll() is None
    assert own.asked == ["about", "work", "about"]
    answers += [about(), RayTaskError("it raised")]
    assert worker.poll() == 70


def test_one_that_was_told_to_stop_ends_as_stopped(answers: list[Any], batch: Path) -> None:
    own = Actor()
    worker = RayWorker(own, ["python"], Team(batch, "yes"))
    answers += [about()]
    worker.poll()
    worker.cancel()
    assert own.asked[-1] == "stop"
    answers += [RayError("it is gone")]
    assert worker.poll() == 130


def test_runs_are_handed_out_one_by_one_where_no_folder_is_shared(answers: list[Any], batch: Path, tmp_path: Path) -> None:
    (batch / "two").mkdir()
    (batch / "two" / "begun").write_text("half")
    put_notes(batch, "two", "tried once")
    own, team = Actor(), Team(batch, "no")
    worker = RayWorker(own, ["python", "-m", "df3d", "--worker", str(batch), "--retries", "2"], team)
    answers += [about(sees=False)]
    worker.poll()
    name, (command, text, run, begun, notes) = own.calls[-1]
    assert (name, command, run, begun, notes) == ("make", ["python", "-m", "df3d", "--retries", "2"], "one", None, "")
    assert text == (batch / "batch.json").read_text()
    made = batch / "elsewhere"
    made.mkdir()
    (made / "asset.glb").write_text("an asset")
    answers += [(pack(made), "")]
    worker.poll()
    assert (batch / "one" / "asset.glb").read_text() == "an asset"
    _, (_, _, run, begun, notes) = own.calls[-1]
    assert (run, notes) == ("two", "tried once")
    unpack(begun, tmp_path / "there", tmp_path / "beside")
    assert (tmp_path / "there" / "begun").read_text() == "half"
    answers += [RayError("the node is gone")]
    worker.poll()
    assert list(team.rows.left) == ["two"]  # type: ignore[union-attr]  # and is handed out again
    answers += [about(sees=False), (None, "tried twice")]
    assert worker.poll() == 0
    assert notes_of(batch, "two") == "tried twice"
    worker.poll()
    assert own.asked.count("clean") == 1


def test_one_that_stops_takes_no_other_run(answers: list[Any], batch: Path) -> None:
    own, team = Actor(), Team(batch, "no")
    worker = RayWorker(own, ["python", "--worker", str(batch)], team)
    answers += [about(sees=False)]
    worker.poll()
    worker.cancel()
    answers += [(None, "")]
    assert worker.poll() == 130
    assert list(team.rows.left) == ["two"]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("shared", "sees", "rows"), [("auto", True, False), ("auto", False, True), ("yes", True, False), ("no", True, True)]
)
def test_who_sees_the_folder_needs_no_runs_handed_out(batch: Path, shared: str, sees: bool, rows: bool) -> None:
    team = Team(batch, shared)
    team.check(about(sees))
    assert (team.rows is not None) == rows


def test_a_command_of_no_batch_asks_for_no_folder() -> None:
    team = Team(None, "no")
    team.check(about(False))
    assert team.rows is None


def test_what_an_actor_is_asked_for(monkeypatch: pytest.MonkeyPatch, batch: Path) -> None:
    seen: list[Any] = []

    def remote(**asked: Any) -> Any:
        return lambda kind: SimpleNamespace(remote=lambda own: seen.append((asked, own)) or Actor())

    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(remote=remote))
    monkeypatch.setattr(RayLauncher, "_cluster", lambda self: {"GPU": 2.0, "CPU": 8.0})
    for name in [name for name in launcher.os.environ if name.startswith(launcher.PASSED)]:
        monkeypatch.delenv(name)
    for name, value in (("HF_TOKEN", "t"), ("DF3D_PARENT", "7"), ("DF3D_CACHE", "/c"), ("DF3D_X", "x"), ("OTHER", "o")):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(batch.parent)
    started = RayLauncher(RayConfig(threads=3)).start(["python", "--worker", batch.name, "--retries", "1"], 2, {"Y": "y"})
    assert len(started) == len(seen) == 2
    asked, own = seen[0]
    assert own == {"HF_TOKEN": "t", "DF3D_X": "x", "OMP_NUM_THREADS": "3", "Y": "y"}
    assert (asked["num_cpus"], asked["num_gpus"], asked["runtime_env"]) == (3, 1.0, {"env_vars": own})
    assert (asked["max_restarts"], asked["max_task_retries"], asked["max_concurrency"]) == (-1, 0, 2)
    assert started[0]._command == ["python", "--worker", str(batch), "--retries", "1"]
    RayLauncher(RayConfig(gpus=0)).start(["python"], 1, {})
    assert seen[-1][1]["CUDA_VISIBLE_DEVICES"] == ""


def test_an_address_where_nothing_listens_is_told_at_once_and_names_are_left_to_ray() -> None:
    for address in ("", "auto", "local", "ray://somewhere"):
        _check_answers(address)
    for address in ("127.0.0.1:1", "ray://127.0.0.1:1", "[::1]:1", "127.0.0.1:99999"):
        with pytest.raises(PluginError, match="no Ray cluster can be used at") as error:
            _check_answers(address)
        assert "ray start --head" in error.value.hint


# ---------------------------------------------------------------------------------------------- on the node
SCRIPT = """
import os, sys
from pathlib import Path
folder = Path(sys.argv[sys.argv.index("--worker") + 1])
log = Path(os.environ["LOG"])
for line in sys.stdin:
    log.write_text((log.read_text() if log.exists() else "") + line)
    if len(log.read_text().split()) <= int(os.environ["DIES"]):
        sys.exit(3)
    (folder / line.strip()).mkdir(exist_ok=True)
    (folder / line.strip() / "made").write_text(Path(folder, "batch.json").read_text())
    print("noise", flush=True)
    print(line.strip(), flush=True)
"""


@pytest.fixture
def hands(tmp_path: Path) -> Iterator[Any]:
    made: list[Hands] = []

    def make(dies: int) -> Hands:
        made.append(Hands({"LOG": str(tmp_path / "log"), "DIES": str(dies)}))
        return made[-1]

    yield make
    for one in made:
        one.clean()
        assert not one._folder.exists()


def test_a_worker_on_a_node_stays_for_the_next_run(hands: Any, tmp_path: Path) -> None:
    own = hands(0)
    command = ["another python", "-c", SCRIPT]
    data, notes = own.make(command, "the list", "one", None, "tried")
    first = own._worker.pid
    unpack(data, tmp_path / "one", tmp_path / "beside")
    assert (tmp_path / "one" / "made").read_text() == "the list"
    assert notes == "tried"
    assert not (own._folder / "one").exists()  # nothing stays there
    assert own.make(command, "the list", "two", data, "")[1] == ""
    assert own._worker.pid == first


def test_a_worker_that_dies_each_time_is_given_up(hands: Any, tmp_path: Path) -> None:
    data, notes = hands(99).make(["python", "-c", SCRIPT], "the list", "one", None, "tried")
    assert (data, notes) == (None, "tried")
    assert len((tmp_path / "log").read_text().split()) == actor.STARTS


def test_a_node_tells_whether_it_sees_the_folder(batch: Path) -> None:
    assert Hands({}).about(str(batch))["sees"] is True
    assert Hands({}).about(str(batch / "gone"))["sees"] is False
    assert Hands({"A": "b"})._environment["A"] == "b"


def test_locks_and_leases_stay_where_they_are(tmp_path: Path) -> None:
    run = tmp_path / "run"
    (run / "coarse").mkdir(parents=True)
    for name in (".lock", ".lease-x", "coarse/kept", ".other"):
        (run / name).write_text(name)
    data = pack(run)
    assert data is not None
    unpack(data, tmp_path / "new", tmp_path / "beside")
    assert sorted(str(path.relative_to(tmp_path / "new")) for path in (tmp_path / "new").rglob("*") if path.is_file()) == [
        ".other", "coarse/kept",
    ]  # fmt: skip
    put_notes(tmp_path, "run", "no")
    assert notes_of(tmp_path, "run") == "no"
    put_notes(tmp_path, "run", "")
    assert notes_of(tmp_path, "run") == ""
