"""Batches as people run them: what fails stops nothing else, is tried again, and is told; the same command does what is left."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command import TINY, Cli

from df3d.batches import plan, summary, worker
from df3d.batches.lists import Mistakes, entries
from df3d.batches.plan import Row
from df3d.errors import RunError

SETTINGS = [setting for setting in TINY if setting.startswith("--set")]
FLAT = "coarse.field.blob_density=0.0 coarse.field.density_bias=-30.0"  # nothing comes of it


def batch_of(folder: Path, prompts: list[str]) -> None:
    mistakes = Mistakes("l")
    plan.save(plan.make(entries(prompts, mistakes), [0], "toybox", [], "cpu", mistakes), folder)


def test_what_fails_is_tried_again_and_told_and_stops_nothing(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "list.csv").write_text(f"prompt,set\na blue car,{FLAT}\na red car,\n")
    command = ("batch", "list.csv", "--out", "many", *SETTINGS, "--steps", "3", "--device", "cpu", "--retries", "1")
    done = cli(*command)
    assert done.returncode == 1
    assert done.stdout == "many/a-red-car/asset.glb\n"
    assert "1 of 2 runs did not finish, `a blue car` first" in done.stderr
    assert worker.failures(tmp_path / "many", Row("a blue car", 0, "a-blue-car"))[0] == 2
    told = [json.loads(line) for line in cli("batch", "status", "many", "--json").stdout.splitlines()]
    assert [row["state"] for row in told] == ["failed", "done"]
    assert told[0]["message"]
    shown = cli("batch", "status", "many")
    assert "a blue car" in shown.stdout
    assert "1 done, 1 failed" in shown.stderr
    assert cli(*command).returncode == 1  # and is not tried once more
    assert worker.failures(tmp_path / "many", Row("a blue car", 0, "a-blue-car"))[0] == 2
    assert "1 failed runs will be tried again" in cli("batch", "retry", "many").stderr
    assert worker.failures(tmp_path / "many", Row("a blue car", 0, "a-blue-car"))[0] == 0
    rows = list(csv.DictReader((tmp_path / "many" / summary.TABLE).read_text().splitlines()))
    assert [(row["prompt"], row["state"]) for row in rows] == [("a blue car", "failed"), ("a red car", "done")]
    page = (tmp_path / "many" / summary.GALLERY).read_text()
    assert 'loading="lazy" src="a-red-car/turntable.webp"' in page
    assert 'href="a-red-car/asset.glb"' in page


def test_a_worker_that_is_killed_leaves_what_another_goes_on_with(cli: Cli, finished: Path, tmp_path: Path) -> None:
    """Every asset once, each as `df3d generate` makes it."""
    (tmp_path / "list.txt").write_text("a red car\na blue car\n")
    command = ["batch", "list.txt", "--out", "many", *TINY, "--device", "cpu"]
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-m", "df3d", *command], cwd=tmp_path, start_new_session=True,
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        until = time.monotonic() + 60
        while not list(tmp_path.glob("many/*/coarse/*.safetensors")) and process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    done = cli(*command)
    assert done.stdout == "many/a-red-car/asset.glb\nmany/a-blue-car/asset.glb\n", done.stderr
    for name in ("a-red-car", "a-blue-car"):
        events = [json.loads(line) for line in (tmp_path / "many" / name / "events.jsonl").read_text().splitlines()]
        assert sum(event["event"] == "RunFinished" for event in events) == 1
    assert (tmp_path / "many" / "a-red-car" / "asset.glb").read_bytes() == (finished / "asset.glb").read_bytes()


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
    (tmp_path / "no").mkdir()
    for arguments, message in (
        (("latin.txt", "--out", "x"), "give a text file in UTF-8"),
        (("gone.txt", "--out", "x"), "cannot be read"),
        (("list.txt",), "a batch needs a list of prompts and a folder"),
        (("list.txt", "--out", "x", "--launcher", "moon"), "there is no launcher `moon`"),
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
    (tmp_path / "failures").mkdir()
    (tmp_path / "failures" / "a-red-car.json").write_text("{")
    (tmp_path / "a-dog").mkdir()
    (tmp_path / "a-dog" / "run.json").write_text("{}")
    assert [state.state for state in summary.states(tmp_path)] == ["waiting", "begun"]
    assert summary.counted(summary.states(tmp_path)) == "1 begun, 1 waiting"
    (tmp_path / "failures" / "a-red-car.json").write_text('{"times": 3, "message": "<b>no</b>"}')
    found = summary.states(tmp_path)
    assert (found[0].state, found[0].message) == ("failed", "<b>no</b>")
    assert "<b>no</b>" not in summary.gallery(tmp_path, found)
    shutil.rmtree(tmp_path / "failures")
    with pytest.raises(RunError, match="holds no batch"):
        summary.states(tmp_path / "failures")
