"""The launchers of df3d itself: their contracts, who gets which cores and GPUs, and what Slurm is asked."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import slurm as fake

from df3d.batches.launchers import local, slurm
from df3d.batches.launchers.options import LocalConfig, PrintConfig, SlurmConfig
from df3d.batches.launchers.printed import PrintLauncher
from df3d.errors import ConfigError, ModelError, RunError
from df3d.testing import LauncherContract


class TestLocal(LauncherContract):
    name = "local"


class TestPrint(LauncherContract):
    name = "print"
    starts = False


class TestSlurm(LauncherContract):
    """Before commands that stand in for Slurm's."""

    name = "slurm"

    @pytest.fixture(autouse=True)
    def _slurm(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PATH", fake.install(tmp_path / "bin"))
        monkeypatch.setattr(slurm, "EVERY", 0.1)
        monkeypatch.chdir(tmp_path)


class Process:
    """A process that runs until it is told to end."""

    def __init__(self, command: list[str], *, env: dict[str, str], **how: Any) -> None:
        self.env, self.code = env, None

    def poll(self) -> int | None:
        return self.code


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local, "subprocess", SimpleNamespace(Popen=Process, DEVNULL=None))


def shares(launcher: local.LocalLauncher, count: int) -> list[str]:
    return [worker._process.env.get("CUDA_VISIBLE_DEVICES", "") for worker in launcher.start([], count, {})]  # type: ignore[attr-defined]


@pytest.mark.usefixtures("started")
@pytest.mark.parametrize(
    ("gpus", "count", "expected"),
    [(1.0, 4, ["3", "5", "7", "9"]), (0.5, 4, ["3", "3", "5", "5"]), (2.0, 2, ["3,5", "7,9"]), (0.0, 1, ["3,5,7,9"])],
)
def test_each_worker_has_its_gpus(gpus: float, count: int, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5,7,9")
    launcher = local.LocalLauncher(LocalConfig(gpus=gpus))
    assert shares(launcher, count) == expected
    assert local.LocalLauncher(LocalConfig(gpus=gpus or 1.0)).workers() == int(4 / (gpus or 1.0))


@pytest.mark.usefixtures("started")
def test_one_that_takes_the_place_of_another_takes_its_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,5")
    launcher = local.LocalLauncher(LocalConfig())
    first, second = launcher.start([], 2, {})
    second._process.code = -9  # type: ignore[misc]
    assert shares(launcher, 1) == ["5"]
    assert first.poll() is None


@pytest.mark.usefixtures("started")
def test_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local.cpu, "threads", lambda: 9)
    monkeypatch.setattr(local.devices, "visible_gpus", list)
    launcher = local.LocalLauncher(LocalConfig())
    assert launcher.workers() == 9
    assert [worker._process.env["OMP_NUM_THREADS"] for worker in launcher.start([], 4, {})] == ["2"] * 4  # type: ignore[attr-defined]
    (own,) = local.LocalLauncher(LocalConfig(threads=5)).start([], 1, {"A": "1"})
    assert (own._process.env["OMP_NUM_THREADS"], own._process.env["A"]) == ("5", "1")  # type: ignore[attr-defined]
    assert own._process.env[local.PARENT] == str(os.getpid())  # type: ignore[attr-defined]


def test_what_is_printed_is_a_command(capsys: pytest.CaptureFixture[str]) -> None:
    PrintLauncher(PrintConfig()).start(["df3d", "batch", "--worker", "a b"], 2, {"HF_HOME": "/x y"})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2
    assert shlex.split(lines[0]) == ["HF_HOME=/x y", "df3d", "batch", "--worker", "a b"]


def script(config: SlurmConfig, folder: Path) -> str:
    """What `sbatch` is given."""
    return slurm.SlurmLauncher(config)._script(["df3d", "batch", "--worker", "a b"], 8, {"X": "y z"}, folder)


def test_slurm_is_asked_for_what_a_worker_needs(tmp_path: Path) -> None:
    text = script(SlurmConfig(gpus=2, threads=6, memory="32G", time="4:00:00", partition="gpu", account="me",
                              extra="--constraint='a100|h100' --nice", warning=90), tmp_path)  # fmt: skip
    for line in ("--array=0-7", "--gpus-per-task=2", "--cpus-per-task=6", "--mem=32G", "--time=4:00:00", "--partition=gpu",
                 "--account=me", "--signal=B:USR1@90", "--requeue", "--open-mode=append", "--nice"):  # fmt: skip
        assert f"#SBATCH {line}\n" in text
    assert "#SBATCH '--constraint=a100|h100'\n" in text
    assert "env OMP_NUM_THREADS=6 'X=y z' df3d batch --worker 'a b'" in text
    plain = script(SlurmConfig(gpus=0), tmp_path)
    assert "--gpus-per-task" not in plain
    assert "--mem" not in plain
    assert subprocess.run(["bash", "-n"], input=text, text=True, check=False).returncode == 0


def test_what_slurm_says_when_it_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", fake.install(tmp_path / "bin"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="`sbatch` refuses: sbatch: error: invalid partition specified: moon"):
        slurm.SlurmLauncher(SlurmConfig(partition="moon")).start(["true"], 1, {})


def test_slurm_is_ready_where_its_commands_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ModelError, match="there is no `sbatch` here"):
        slurm.ready(SlurmConfig())
    monkeypatch.setenv("PATH", fake.install(tmp_path / "bin"))
    slurm.ready(SlurmConfig())
    with pytest.raises(ConfigError, match="whole GPUs, not 0.5"):
        slurm.ready(SlurmConfig(gpus=0.5))


def test_a_job_near_its_limit_is_warned_and_queued_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker ends with 130 after its signal, the first two times."""
    monkeypatch.setenv("PATH", fake.install(tmp_path / "bin", limit=0.3))
    monkeypatch.setattr(slurm, "EVERY", 0.1)
    monkeypatch.chdir(tmp_path)
    work = "import pathlib, signal, sys, time\n" \
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))\n" \
        "log = pathlib.Path('log'); log.write_text((log.read_text() if log.exists() else '') + 'x')\n" \
        "time.sleep(20 if len(log.read_text()) < 3 else 0)"  # fmt: skip
    (worker,) = slurm.SlurmLauncher(SlurmConfig(gpus=0)).start([sys.executable, "-c", work], 1, {})
    until = time.monotonic() + 60
    while worker.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    assert (tmp_path / "log").read_text() == "xxx"


def test_a_job_that_is_cancelled_ends_and_stays_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", fake.install(tmp_path / "bin"))
    monkeypatch.setattr(slurm, "EVERY", 0.1)
    monkeypatch.chdir(tmp_path)
    (worker,) = slurm.SlurmLauncher(SlurmConfig(gpus=0)).start(
        [sys.executable, "-c", "open('log', 'a').write('x')\nimport time; time.sleep(60)"], 1, {}
    )
    until = time.monotonic() + 60
    while not (tmp_path / "log").exists() and time.monotonic() < until:
        time.sleep(0.05)
    worker.cancel()
    while worker.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    assert worker.poll() == 0
    assert (tmp_path / "log").read_text() == "x"


def test_a_controller_that_is_busy_ends_no_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", fake.install(tmp_path / "bin"))
    monkeypatch.setattr(slurm, "EVERY", 0.0)
    (tmp_path / "bin" / "job-7").mkdir()
    array = slurm.SlurmArray("7", 2, detached=False)
    (tmp_path / "bin" / "busy").touch()
    assert array.has(0)
    (tmp_path / "bin" / "busy").unlink()
    (tmp_path / "bin" / "job-7" / "1.waits").touch()
    assert not array.has(0)
    assert array.has(1)
    (tmp_path / "bin" / "job-7" / "1.waits").unlink()
    assert not array.has(1)
    assert not slurm.SlurmArray("7", 2, detached=True).has(0)
