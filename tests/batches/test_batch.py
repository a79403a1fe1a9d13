"""Batches as people run them: what fails stops nothing else, is tried again, and is told; the same command does what is left."""

from __future__ import annotations

import csv
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import is_dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import slurm
from command import TINY, Cli, Command

from df3d.batches import attempts, best, forecast, make, plan, summary, worker
from df3d.batches.lists import Entry, Mistakes, entries
from df3d.batches.plan import Row
from df3d.batches.worker import Worker
from df3d.cli.batch_view import BatchView
from df3d.errors import RunError
from df3d.events import Event, RunStarted
from df3d.plugin.catalog import Catalog

SETTINGS = [setting for setting in TINY if setting.startswith("--set")]
FLAT = "coarse.field.blob_density=0.0 coarse.field.density_bias=-30.0"  # nothing comes of it


def batch_of(folder: Path, prompts: list[str]) -> None:
    mistakes = Mistakes("l")
    plan.save(plan.expand(entries(prompts, mistakes), [0], "toybox", [], "cpu", mistakes), folder)


def test_what_fails_is_tried_again_and_told_and_stops_nothing(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(f"prompt,set\na blue car,{FLAT}\na red car,\n")
    command = (
        "batch",
        "list.csv",
        "--out",
        "many",
        *SETTINGS,
        "--steps",
        "3",
        "--device",
        "cpu",
        "--retries",
        "1",
        "--workers",
        "1",
    )
    done = cli(*command)
    assert done.returncode == 1
    assert done.stdout == "many/a-red-car/asset.glb\n"
    assert "1 of 2 runs failed, `a blue car` first" in done.stderr
    assert attempts.of(tmp_path / "many", Row("a blue car", 0, "a-blue-car")).times == 2
    told = [json.loads(line) for line in cli("batch", "status", "many", "--json").stdout.splitlines()]
    assert [row["state"] for row in told] == ["failed", "done"]
    assert told[0]["message"]
    shown = cli("batch", "status", "many")
    assert "a blue car" in shown.stdout
    assert "1 done, 1 failed" in shown.stderr
    assert cli(*command).returncode == 1  # and is not tried once more
    assert attempts.of(tmp_path / "many", Row("a blue car", 0, "a-blue-car")).times == 2
    assert "1 failed runs will be tried again" in cli("batch", "retry", "many").stderr
    assert attempts.of(tmp_path / "many", Row("a blue car", 0, "a-blue-car")).times == 0
    rows = list(csv.DictReader((tmp_path / "many" / plan.TABLE).read_text().splitlines()))
    assert [(row["prompt"], row["state"]) for row in rows] == [("a blue car", "failed"), ("a red car", "done")]
    page = (tmp_path / "many" / plan.GALLERY).read_text()
    assert 'loading="lazy" src="a-red-car/turntable.webp"' in page
    assert 'href="a-red-car/asset.glb"' in page


def wait_for(tmp_path: Path, pattern: str, command: Command) -> list[Path]:
    """The files of a pattern, once there are some."""
    until = time.monotonic() + 60
    while not (found := list(tmp_path.glob(pattern))) and command.is_alive() and time.monotonic() < until:
        time.sleep(0.02)
    return found


def process_of(path: Path) -> int:
    """Of a file in which a worker tells what it does."""
    return int(path.stem.rsplit("-", 1)[1])


def times_finished(folder: Path) -> int:
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    return sum(event["event"] == "RunFinished" for event in events)


def test_workers_and_drivers_that_are_killed_leave_what_others_go_on_with(cli: Cli, finished: Path, tmp_path: Path) -> None:
    """Every asset once, each as `df3d generate` makes it. A killed worker is replaced; one whose driver is gone saves and ends."""
    (tmp_path / "list.txt").write_text("a red car\na blue car\n")
    command = ["list.txt", "--out", "many", *TINY, "--device", "cpu", "--workers", "1", "--retries", "9"]
    process = Command("batch", *command, where=tmp_path)
    first = process_of(wait_for(tmp_path, "many/.batch/workers/*.json", process)[0])
    os.kill(first, signal.SIGKILL)
    wait_for(tmp_path, "many/*/coarse/*.safetensors", process)
    others = [path for path in wait_for(tmp_path, "many/.batch/workers/*.json", process) if process_of(path) != first]
    process.signal(signal.SIGKILL)
    until = time.monotonic() + 60
    while any(path.exists() for path in others) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(path.exists() for path in others)
    done = cli("batch", *command)
    assert done.stdout == "many/a-red-car/asset.glb\nmany/a-blue-car/asset.glb\n", done.stderr
    assert [times_finished(tmp_path / "many" / name) for name in ("a-red-car", "a-blue-car")] == [1, 1]
    assert (tmp_path / "many" / "a-red-car" / "asset.glb").read_bytes() == (finished / "asset.glb").read_bytes()


def test_ctrl_c_saves_what_is_in_work(cli: Cli, finished: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a red car\na blue car\n")
    command = ["list.txt", "--out", "many", *TINY, "--set", "save_every=100", "--device", "cpu", "--workers", "1"]
    process = Command("batch", *command, where=tmp_path)
    wait_for(tmp_path, "many/a-red-car/coarse/preview*.png", process)
    process.signal(signal.SIGINT)
    done = process.finish(60)
    assert done.returncode == 130, done.stderr
    assert "run the same command again to do what is left" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "many" / "a-blue-car").exists()
    assert list(tmp_path.glob("many/a-red-car/*/*.safetensors"))
    assert not list(tmp_path.glob("many/.batch/attempts/*"))
    assert cli("batch", *command).returncode == 0
    asset = (tmp_path / "many" / "a-red-car" / "asset.glb").read_bytes()
    assert len(asset) == len((finished / "asset.glb").read_bytes())


def test_a_worker_keeps_its_model_and_makes_the_same(cli: Cli, finished: Path, tmp_path: Path, catalog: Catalog,
                                                     monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    """One model for all runs and stages, and the second run as if it were the first."""
    built = []
    plugin = catalog.guidance.get("toybox")
    whole = type(plugin).build
    monkeypatch.setattr(type(plugin), "build", lambda *given, **more: built.append(1) or whole(*given, **more))
    mistakes = Mistakes("l")
    listed = plan.expand(
        entries(["a blue car", "a red car"], mistakes), [0], "toybox", [*settings_of(TINY), "steps=6"], "cpu", mistakes
    )
    plan.save(listed, tmp_path / "many")
    assert list(Worker(tmp_path / "many", catalog).work()) == ["a-blue-car", "a-red-car"]
    assert built == [1]
    assert (tmp_path / "many" / "a-red-car" / "asset.glb").read_bytes() == (finished / "asset.glb").read_bytes()


def settings_of(arguments: list[str]) -> list[str]:
    return [argument.removeprefix("--set=") for argument in arguments if argument.startswith("--set=")]


class Killed(BaseException):
    """What a worker feels of SIGKILL."""


def dying(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, saves: bool) -> list[int]:
    """Let every run kill its worker, after a checkpoint if it `saves`; counts the deaths."""
    deaths: list[int] = []

    class Job:
        stop = threading.Event()

        def run(self, place: Path, seed: int, tell: Callable[[Event], None]) -> None:
            tell(RunStarted(place, "a red car", "toybox", "cpu", seed, {}))
            deaths.append(1)
            if saves:
                (place / "coarse").mkdir(parents=True, exist_ok=True)
                (place / "coarse" / f"step-{len(deaths):06d}.safetensors").touch()
            raise Killed

    monkeypatch.setattr("df3d.batches.worker.prepare", lambda *given, **more: Job())
    monkeypatch.setattr("df3d.batches.worker.replace", lambda job, **more: replace(job, **more) if is_dataclass(job) else job)
    return deaths


def test_a_run_that_kills_its_workers_is_given_up(catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that gets on between two deaths is not."""
    batch_of(tmp_path, ["a red car"])
    deaths = dying(monkeypatch, tmp_path, saves=False)
    for _ in range(3):
        with pytest.raises(Killed):
            list(Worker(tmp_path, catalog, retries=2).work())
    worker = Worker(tmp_path, catalog, retries=2)
    assert list(worker.work()) == ["a-red-car"]
    assert len(deaths) == 3
    assert worker.left() == ["a-red-car: the process that made it was killed, perhaps for want of memory"]
    assert summary.states(tmp_path)[0].state == "failed"

    assert attempts.forget(tmp_path) == 1
    deaths = dying(monkeypatch, tmp_path, saves=True)
    for _ in range(6):
        with pytest.raises(Killed):
            list(Worker(tmp_path, catalog, retries=2).work())
    assert attempts.of(tmp_path, worker.batch.rows[0]).times == 0


def test_workers_that_cannot_even_start_are_not_started_for_ever(tmp_path: Path) -> None:
    class Broken:
        started = 0

        def start(self, command: Sequence[str], count: int, environment: Mapping[str, str]) -> list[Any]:
            self.started += count
            return [subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"]) for _ in range(count)]

    batch_of(tmp_path, ["a red car"])
    launcher = Broken()
    with pytest.raises(RunError, match="6 workers in a row ended, the last with exit code 3"):
        make._oversee(launcher, [], 1, tmp_path, lambda: None, threading.Event())
    assert launcher.started == 6


def test_a_run_that_takes_too_long_fails_and_the_next_is_made(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text("prompt,set\na blue car,steps=100000\na red car,steps=2\n")
    command = ["batch", "list.csv", "--out", "many", *SETTINGS, "--device", "cpu", "--retries", "0", "--timeout", "4s"]
    done = cli(*command, "--workers", "1")
    assert done.returncode == 1
    assert done.stdout == "many/a-red-car/asset.glb\n", done.stderr
    assert "a blue car` first: it was not made in 4 s (--timeout)" in done.stderr
    assert list(tmp_path.glob("many/a-blue-car/coarse/*.safetensors"))  # what was done is kept


def test_the_best_of_each_prompt(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a red car\na dog\n")
    command = ("batch", "list.txt", "--out", "many", *TINY, "--device", "cpu", "--seeds", "2", "--best-by", "geometry.vertices")
    done = cli(*command)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in cli(*command, "--json").stdout.splitlines()]
    assert [row["folder"] for row in rows] == ["a-red-car", "a-red-car-seed1", "a-dog", "a-dog-seed1"]
    best = [max(pair, key=lambda row: row["geometry.vertices"])["folder"] for pair in (rows[:2], rows[2:])]
    assert done.stdout.splitlines() == [f"many/{folder}/asset.glb" for folder in best]
    assert [row["folder"] for row in rows if row["best"]] == best
    told = list(csv.DictReader((tmp_path / "many" / plan.TABLE).read_text().splitlines()))
    assert [float(row["geometry.vertices"]) for row in told] == [row["geometry.vertices"] for row in rows]
    assert (tmp_path / "many" / plan.GALLERY).read_text().count('class="best"') == 2
    wrong = cli(*command[:-1], "geometry.beauty")
    assert wrong.returncode == 1
    assert "has no measure `geometry.beauty`" in wrong.stderr


def test_a_recipe_file_that_changes_later_changes_nothing(cli: Cli, mini: Path, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a red car\n")
    listed = plan.expand([Entry(1, "a red car")], [0], str(mini), [], "cpu", Mistakes("l"))
    plan.save(listed, tmp_path / "many")
    text = mini.read_text()
    mini.write_text("nonsense")
    kept = plan.load(tmp_path / "many")
    assert kept == listed
    assert Path(kept.recipe_of(kept.rows[0], tmp_path / "many")).read_text() == text


def test_a_dry_run_begins_nothing(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("a red car\na dog\n")
    done = cli("batch", "list.txt", "--out", "many", "--seeds", "2", "--dry-run", "--json", "--device", "cpu")
    assert [json.loads(line)["folder"] for line in done.stdout.splitlines()] == [
        "a-red-car",
        "a-red-car-seed1",
        "a-dog",
        "a-dog-seed1",
    ]
    plain = cli("batch", "list.txt", "--out", "many", "--dry-run", "--device", "cpu")
    assert "2 runs, 2 to make, 1 at once" in plain.stderr
    assert not (tmp_path / "many").exists()


def test_bad_input_is_one_sentence(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes(b"a caf\xe9\n")
    (tmp_path / "list.txt").write_text("a red car\n")
    (tmp_path / "other.csv").write_text("name\na red car\n")
    (tmp_path / "own.csv").write_text("prompt,out\na red car,index.html\n")
    (tmp_path / "no").mkdir()
    batch_of(tmp_path / "taken", ["a dog"])
    one = ("list.txt", "--out", "x", "--device", "cpu")
    for arguments, message in (
        (("latin.txt", "--out", "x"), "give a text file in UTF-8"),
        (("gone.txt", "--out", "x"), "cannot be read"),
        (("list.txt",), "a batch needs a list of prompts and a folder"),
        (("other.csv", "--out", "x"), "has no column `prompt`"),
        (("own.csv", "--out", "x"), "`index.html` is a file of the batch itself"),
        ((*one, "--launcher", "moon"), "there is no launcher `moon`"),
        ((*one, "--launcher", "slurm"), "there is no `sbatch` here"),
        ((*one, "--launch", "threads"), "`--launch threads` has no `KEY=VALUE`"),
        ((*one, "--launch", "thread=2"), "launcher `local` has no option `thread`"),
        ((*one, "--launch", "threads=many"), "threads"),
        ((*one, "--launcher", "print", "--gpus-per-worker", "1"), "launcher `print` gives out no GPUs"),
        ((*one, "--gpus-per-worker", "1", "--workers-per-gpu", "2"), "say the same thing"),
        ((*one, "--timeout", "soon"), "`soon` is not a time"),
        ((*one, "--best-by", "beauty"), "there is no scorer `beauty`"),
        (("list.txt", "--out", "taken", "--device", "cpu"), "`taken` holds another batch"),
        (("--worker", "no"), "holds no batch"),
        (("status", "no"), "holds no batch"),
        (("retry", "no"), "holds no batch"),
    ):
        done = cli("batch", *arguments)
        assert done.returncode == 1, done.stderr
        assert message in done.stderr
        assert "Traceback" not in done.stderr
    assert not (tmp_path / "x").exists()


def test_failures_and_states_of_damaged_folders(tmp_path: Path) -> None:
    batch_of(tmp_path, ["a red car", "a dog"])
    (tmp_path / ".batch" / "attempts").mkdir(parents=True)
    (tmp_path / ".batch" / "attempts" / "a-red-car.json").write_text("{")
    (tmp_path / "a-dog").mkdir()
    (tmp_path / "a-dog" / "run.json").write_text("{}")
    assert [state.state for state in summary.states(tmp_path)] == ["waiting", "begun"]
    assert summary.counted(summary.states(tmp_path)) == "1 begun, 1 waiting"
    (tmp_path / ".batch" / "attempts" / "a-red-car.json").write_text('{"times": 3, "message": "<b>no</b>"}')
    found = summary.states(tmp_path)
    assert (found[0].state, found[0].message) == ("failed", "<b>no</b>")
    assert "<b>no</b>" not in summary.gallery(tmp_path, found)
    shutil.rmtree(tmp_path / ".batch")
    with pytest.raises(RunError, match="holds no batch"):
        summary.states(tmp_path / ".batch")


@pytest.mark.parametrize(("lower", "expected"), [(frozenset({"error"}), "two"), (frozenset(), "one")])
def test_the_best_is_the_lowest_of_an_error(lower: frozenset[str], expected: str, catalog: Catalog, tmp_path: Path) -> None:
    part: Any = SimpleNamespace(plugin=SimpleNamespace(lower=lower, headline=("error",)))
    judge = best.judge("judge", {"judge": part})
    rows = [(Row("a car", seed, name), value) for seed, (name, value) in enumerate((("one", 3.0), ("two", 1.0), ("three", 2.0)))]
    states = [summary.State(row, "done", scores=(("judge.error", value),)) for row, value in rows]
    chosen = best.choose(tmp_path, [*states, summary.State(Row("a dog", 0, "dog"), "failed")], judge, catalog, device="cpu")
    assert [state.row.folder for state in chosen if state.best] == [expected]


@pytest.mark.parametrize("state", ["waiting", "begun", "failed", "done"])
def test_workers_start_where_anything_is_left(
    state: str, tmp_path: Path, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch_of(tmp_path, ["a red car"])
    listed = plan.load(tmp_path)
    monkeypatch.setattr(summary, "states", lambda folder: [summary.State(listed.rows[0], state)])  # type: ignore[arg-type]
    started: list[int] = []
    monkeypatch.setattr(make, "_oversee", lambda launcher, command, count, *rest: started.append(count))
    make.make(listed, tmp_path, make.crew(catalog, "local", workers=3))
    assert started == ([] if state == "done" else [1])


def test_a_damaged_run_is_told_as_any_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    batch_of(tmp_path, ["a red car"])
    (tmp_path / "a-red-car").mkdir()
    (tmp_path / "a-red-car" / "run.json").write_text("{")
    BatchView(tmp_path, tell=True, json=True).finish()
    assert json.loads(capsys.readouterr().out)["state"] == "begun"


@pytest.mark.parametrize(("left", "workers", "minutes"), [(4, 2, 4), (5, 2, 6), (1, 4, 2), (6, 1, 12)])
def test_the_forecast_counts_rounds_of_workers(left: int, workers: int, minutes: int, tmp_path: Path, catalog: Catalog) -> None:
    batch_of(tmp_path, ["a red car"])
    (tmp_path / "a-red-car").mkdir()
    (tmp_path / "a-red-car" / "run.json").write_text('{"seconds": 120.0, "peak_memory_mib": 2000}')
    done = [summary.State(Row("a red car", 0, "a-red-car"), "done", seconds=120.0)]
    text = forecast.forecast(plan.load(tmp_path), tmp_path, done, left, workers, catalog)
    assert text == f"about {minutes} minutes, at the pace of the 1 that are done; each takes about 2.1 GB of memory"


def test_what_a_worker_did_long_ago_is_of_one_that_is_gone(tmp_path: Path) -> None:
    row = Row("a red car", 0, "a-red-car")
    worker.Now(tmp_path).tell(row, RunStarted(tmp_path, "a red car", "toybox", "cpu", 0, {}))
    (file,) = (tmp_path / ".batch" / "workers").iterdir()
    assert [now.run for now in worker.doing(tmp_path)] == ["a-red-car"]
    os.utime(file, (time.time() - 1000,) * 2)
    assert worker.doing(tmp_path) == []


PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "many-prompts.md"


def test_the_commands_of_the_page(cli: Cli, tmp_path: Path) -> None:
    """The first is run, those that make more are planned, with what they need beside them."""
    (tmp_path / "prompts.txt").write_text("# two\na red car\na dog\n")
    (tmp_path / "prompts.csv").write_text("prompt,seed,set\na red car,3,steps=5\n")
    (tmp_path / "prompts.jsonl").write_text('{"prompt": "a red car", "set": {"steps": 5}}\n')
    path = slurm.install(tmp_path / "bin")
    commands = [line for block in re.findall(r"^```sh\n(.*?)```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
                for line in block.splitlines() if line.startswith("df3d batch")]  # fmt: skip
    assert len(commands) == 10
    for index, line in enumerate(commands):
        arguments = shlex.split(line, comments=True)[1:]
        if "ray" in arguments and not find_spec("ray"):
            continue
        if arguments[1] not in ("status", "retry"):
            arguments = [word.replace("/runs/many", "printed") for word in arguments]
            arguments += [*TINY, "--device", "cpu"] if index == 0 else ["--dry-run", "--json", "--device", "cpu"]
        done = Command(*arguments, where=tmp_path, PATH=path).finish(300)
        assert done.returncode == 0, (line, done.stderr)
    assert (tmp_path / "many" / "a-dog" / "asset.glb").is_file()
