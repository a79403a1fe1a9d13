"""Faults in a batch of twelve: workers, drivers, nodes and jobs are killed; each asset is made once, as `df3d generate` does."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from importlib.util import find_spec
from pathlib import Path

import pytest
import slurm
from command import TINY, df3d

pytestmark = pytest.mark.faults

PROMPTS = [f"a {colour} {noun}" for noun in ("car", "dog", "chair") for colour in ("red", "blue", "green", "white")]
Told = dict[str, Counter[str]]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The assets that `df3d generate` makes, by folder; with one core, as each of two workers has here."""
    folder = tmp_path_factory.mktemp("alone")
    for prompt in PROMPTS:
        done = df3d("generate", prompt, "--device", "cpu", "--quiet", *TINY, where=folder, OMP_NUM_THREADS="1")
        assert done.returncode == 0, done.stderr
    return {path.parent.name: path.read_bytes() for path in folder.glob("runs/*/asset.glb")}


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    (tmp_path / "list.txt").write_text("\n".join(PROMPTS))
    return [sys.executable, "-m", "df3d", "batch", "list.txt", "--out", "many", "--workers", "2", "--retries", "20", *TINY,
            "--device", "cpu"]  # fmt: skip


def begin(command: list[str], where: Path, **environment: str) -> subprocess.Popen[bytes]:
    log = (where / "log").open("ab")
    return subprocess.Popen(command, cwd=where, stdout=log, stderr=log, env={**os.environ, **environment}, start_new_session=True)


def workers(folder: Path) -> list[int]:
    """The processes of the workers that tell what they do."""
    return [int(path.stem.rsplit("-", 1)[1]) for path in folder.glob("many/.batch/workers/*.json")]


def done(folder: Path) -> int:
    return len(list(folder.glob("many/*/asset.glb")))


def kill(process: int) -> bool:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


def check(folder: Path, alone: dict[str, bytes]) -> None:
    """Every asset is there, made once, and the one that `df3d generate` makes."""
    found = {path.parent.name: path.read_bytes() for path in folder.glob("many/*/asset.glb")}
    assert found.keys() == alone.keys()
    assert [name for name in found if found[name] != alone[name]] == []
    for name in found:
        said = [json.loads(line) for line in (folder / "many" / name / "events.jsonl").read_text().splitlines()]
        assert sum(event["event"] == "RunFinished" for event in said) == 1, name


def test_workers_and_the_driver_are_killed(tmp_path: Path, command: list[str], alone: dict[str, bytes], told: Told) -> None:
    dice, killed, drivers = random.Random(5), 0, 0
    process = begin(command, tmp_path)
    until = time.monotonic() + 1200
    while (process.poll() is None or done(tmp_path) < len(PROMPTS)) and time.monotonic() < until:
        time.sleep(dice.uniform(1.5, 6.0))
        if killed < 6 and (found := workers(tmp_path)):
            killed += kill(dice.choice(found))
        if drivers == 0 and killed == 3:
            process.kill()
            drivers += 1
        if process.poll() is not None and done(tmp_path) < len(PROMPTS):
            process = begin(command, tmp_path)
    assert process.wait() == 0, (tmp_path / "log").read_text()
    assert killed >= 5
    assert drivers == 1
    check(tmp_path, alone)
    told["SIGKILL of a worker of a batch"]["every asset once"] += killed
    told["SIGKILL of a batch's driver"]["every asset once"] += drivers


def test_slurm_jobs_are_requeued_and_preempted(tmp_path: Path, command: list[str], alone: dict[str, bytes], told: Told) -> None:
    """Each job is warned some seconds before its limit, again and again, and once killed without a word."""
    path = slurm.install(tmp_path / "bin", limit=12.0, preempt=9.0)
    process = begin([*command, "--launcher", "slurm", "--launch", "gpus=0", "--launch", "threads=1"], tmp_path, PATH=path)
    assert process.wait(timeout=900) == 0, (tmp_path / "log").read_text()
    begun = [len(file.read_text()) for file in (tmp_path / "bin" / "job-100").glob("*.begins")]
    assert len(begun) == 2
    assert sum(begun) >= 6
    check(tmp_path, alone)
    told["a Slurm job that is queued again"]["every asset once"] += sum(begun) - 2


@pytest.mark.skipif(not find_spec("ray"), reason="Ray is not installed")
@pytest.mark.parametrize("shared", ["yes", "no"])
def test_ray_loses_a_node_an_actor_and_the_driver(
    shared: str, tmp_path: Path, command: list[str], alone: dict[str, bytes], told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    import ray
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
        whole = [*command, "--launcher", "ray", "--launch", f"address={cluster.address}", "--launch", f"shared={shared}"]
        process = begin(whole, tmp_path)
        _wait(lambda: done(tmp_path) >= 2, process)
        cluster.remove_node(nodes[0], allow_graceful=False)
        _wait(lambda: done(tmp_path) >= 4, process)
        assert _kill_an_actor()
        _wait(lambda: done(tmp_path) >= 6, process)
        process.kill()
        process = begin(whole, tmp_path)
        assert process.wait(timeout=600) == 0, (tmp_path / "log").read_text()
    finally:
        ray.shutdown()
        cluster.shutdown()
    check(tmp_path, alone)
    for what in ("a Ray node that is removed", "a Ray actor that is killed", "the driver of Ray that is killed"):
        told[f"{what}, shared={shared}"]["every asset once"] += 1


def _wait(condition: object, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 600
    while not condition() and process.poll() is None and time.monotonic() < until:  # type: ignore[operator]
        time.sleep(0.2)
    assert condition()  # type: ignore[operator]


def _kill_an_actor() -> bool:
    """SIGKILL to the process of one actor."""
    found = subprocess.run(["pgrep", "-f", "ray::Hands"], capture_output=True, text=True, check=False).stdout.split()
    return any(kill(int(process)) for process in found[:1])
