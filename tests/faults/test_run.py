"""Faults in a run: after each, the same command ends in the asset of an unbroken run, or says in a sentence what is wrong.

`nox -s faults` runs these, in some minutes. Nothing but the steps since the last checkpoint may be lost.
"""

from __future__ import annotations

import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from command import TINY, Cli, Command, df3d

pytestmark = pytest.mark.faults

KILLS = int(os.environ.get("DF3D_KILLS", "100"))
MAKE = ("generate", "a red car", "--out", "run", "--device", "cpu", "--quiet", *TINY)
Told = dict[str, Counter[str]]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The asset of an unbroken run."""
    folder = tmp_path_factory.mktemp("whole")
    assert df3d(*MAKE, where=folder).returncode == 0
    return (folder / "run" / "asset.glb").read_bytes()


def events(folder: Path) -> list[dict[str, object]]:
    """The log of a run; its last line may be torn."""
    path = folder / "run" / "events.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    found = []
    for line in lines:
        try:
            found.append(json.loads(line))
        except ValueError:
            assert line is lines[-1]
    return found


def phase(folder: Path) -> str:
    """What a run that was broken off was doing."""
    said = events(folder)
    if not said:
        return "start"
    stage = next((event["stage"] for event in reversed(said) if "stage" in event), "start")
    last = said[-1]["event"]
    return str(said[-1]["what"]) if last == "Exporting" else f"{stage} {last}"


def check_nothing_lost(folder: Path) -> None:
    """Each sitting began where the last checkpoint of the stage was, or later."""
    saved: dict[object, int] = {}
    for event in events(folder):
        if event["event"] == "StageStarted":
            assert int(str(event["step"])) >= saved.get(event["stage"], 0)
        if event["event"] == "Saved":
            saved[Path(str(event["path"])).parent.name] = int(str(event["step"]))


def test_sigkill_at_any_moment(tmp_path: Path, whole: bytes, told: Told) -> None:
    began = time.monotonic()
    assert df3d(*MAKE, where=tmp_path).returncode == 0
    longest = time.monotonic() - began
    shutil.rmtree(tmp_path / "run")
    dice, kills = random.Random(1), 0
    while kills < KILLS:
        command = Command(*MAKE, where=tmp_path)
        until = time.monotonic() + dice.uniform(0, longest)
        while command.is_alive() and time.monotonic() < until:
            time.sleep(0.005)
        if command.is_alive():
            command.signal(signal.SIGKILL)
            command.finish(60)
            kills += 1
            told[f"SIGKILL in {phase(tmp_path)}"]["the next one went on"] += 1
            continue
        done = command.finish(60)
        assert done.returncode == 0, done.stderr
        assert (tmp_path / "run" / "asset.glb").read_bytes() == whole
        check_nothing_lost(tmp_path)
        shutil.rmtree(tmp_path / "run")
    assert df3d(*MAKE, where=tmp_path).returncode == 0
    assert (tmp_path / "run" / "asset.glb").read_bytes() == whole


@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP", "SIGINT"])
def test_a_wish_to_stop_at_any_moment(name: str, tmp_path: Path, whole: bytes, told: Told) -> None:
    dice = random.Random(2)
    for _ in range(KILLS // 5):
        command = Command(*MAKE, where=tmp_path)
        until = time.monotonic() + dice.uniform(0.2, 2.5)
        while command.is_alive() and time.monotonic() < until:
            time.sleep(0.005)
        if command.is_alive():
            command.signal(getattr(signal, name))
        done = command.finish(60)
        outcome = {0: "finished all the same", 130: "saved and stopped"}.get(done.returncode, "ended at once, before it began")
        assert "Traceback" not in done.stderr
        told[name][outcome] += 1
        if done.returncode == 0:
            assert (tmp_path / "run" / "asset.glb").read_bytes() == whole
            shutil.rmtree(tmp_path / "run")
    assert df3d(*MAKE, where=tmp_path).returncode == 0
    assert (tmp_path / "run" / "asset.glb").read_bytes() == whole
    check_nothing_lost(tmp_path)


def limit_files(size: int) -> None:
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writes fail instead
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_no_file_may_grow_beyond_a_size(tmp_path: Path, whole: bytes, told: Told) -> None:
    """A quota that strikes at another write each time: the log, a checkpoint, a picture, the asset."""
    dice = random.Random(3)
    for _ in range(30):
        size = int(10 ** dice.uniform(2, 5.6))
        done = Command(*MAKE, where=tmp_path, before=partial(limit_files, size)).finish(120)
        assert "Traceback" not in done.stderr
        if done.returncode == 0:
            assert size > len(whole)
        else:
            assert done.returncode == 1, done
            assert len(re.findall("^error: ", done.stderr, re.MULTILINE)) == 1
            assert "File too large" in done.stderr or "cannot" in done.stderr, done.stderr
        told["a limit on the size of files"]["finished" if done.returncode == 0 else "said so, kept all"] += 1
        assert df3d(*MAKE, where=tmp_path).returncode == 0
        assert (tmp_path / "run" / "asset.glb").read_bytes() == whole
        shutil.rmtree(tmp_path / "run")


@pytest.fixture
def small_disk(tmp_path: Path) -> Path:
    """A disk of 3 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(place)], capture_output=True)
    if done.returncode:
        pytest.skip("nobody may mount a disk here")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def test_a_full_disk(small_disk: Path, whole: bytes, told: Told) -> None:
    """With less and less room left, so that every write is once the one that finds none."""
    for room in (0, 1, 4, 8, 16, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 2560, 2900):
        ballast = small_disk / "ballast"
        free = shutil.disk_usage(small_disk).free
        ballast.write_bytes(bytes(max(free - room * 1024, 0)))
        done = df3d(*MAKE, where=small_disk)
        assert "Traceback" not in done.stderr
        if done.returncode:
            assert done.returncode == 1
            assert "No space left" in done.stderr or "free some space" in done.stderr, done.stderr
        told["a full disk"]["said so, kept all" if done.returncode else "finished"] += 1
        ballast.unlink()
        again = df3d(*MAKE, where=small_disk)
        assert again.returncode == 0, again.stderr
        assert (small_disk / "run" / "asset.glb").read_bytes() == whole
        shutil.rmtree(small_disk / "run")


def test_a_disk_that_cannot_be_written(small_disk: Path, whole: bytes, told: Told) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = df3d(*MAKE, where=small_disk)
    assert done.returncode == 1
    assert "cannot write to `run`: Read-only file system" in done.stderr
    assert "Traceback" not in done.stderr
    told["a disk that cannot be written"]["said so"] += 1
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert df3d(*MAKE, "--until", "coarse", where=small_disk).returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    done = df3d(*MAKE, where=small_disk)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert df3d(*MAKE, where=small_disk).returncode == 0
    assert (small_disk / "run" / "asset.glb").read_bytes() == whole
    told["a disk that becomes read-only in the middle"]["said so, and went on later"] += 1


def test_two_at_one_run(tmp_path: Path, whole: bytes, told: Told) -> None:
    first = Command(*MAKE, where=tmp_path)
    while not (tmp_path / "run" / "events.jsonl").exists():
        time.sleep(0.01)
    second = df3d(*MAKE, where=tmp_path)
    assert (second.returncode, "in use by another df3d" in second.stderr) == (1, True)
    assert first.finish(120).returncode == 0
    assert (tmp_path / "run" / "asset.glb").read_bytes() == whole
    told["two at one run"]["one finished, one said why not"] += 1


def jump(clock: Callable[[], float], jumps: list[float]) -> None:
    """Let the clock of the wall go back an hour and forward a day, again and again."""
    time.time = lambda: clock() + (jumps.append(0.0) or (-3600, 0, 86400)[len(jumps) % 3])  # type: ignore[assignment,func-returns-value]


def test_a_clock_that_jumps(tmp_path: Path, whole: bytes, told: Told) -> None:
    assert Command(*MAKE, where=tmp_path, before=partial(jump, time.time, [])).finish(120).returncode == 0
    assert (tmp_path / "run" / "asset.glb").read_bytes() == whole
    told["a clock that jumps"]["finished"] += 1


@pytest.mark.parametrize(
    ("name", "environment"),
    [
        ("a temporary folder on another disk", {"TMPDIR": "/dev/shm"}),
        ("a temporary folder that is not there", {"TMPDIR": "/nowhere"}),
        ("no home", {"HOME": "/nowhere"}),
        ("no cache that can be written", {"HOME": "/nowhere", "DF3D_CACHE": "/proc/nowhere", "TMPDIR": "/dev/shm"}),
        ("the locale C", {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}),
        ("ASCII alone", {"PYTHONIOENCODING": "ascii"}),
        ("no terminal type", {"TERM": "", "NO_COLOR": "1"}),
    ],
)
def test_odd_surroundings(name: str, environment: dict[str, str], tmp_path: Path, whole: bytes, told: Told) -> None:
    done = df3d(*MAKE, where=tmp_path, **environment)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "asset.glb").read_bytes() == whole
    told[name]["finished"] += 1


def test_a_reader_that_goes_away(tmp_path: Path, whole: bytes, told: Told) -> None:
    """Of what is said: the run saves and stops, or does not care; the same command finishes it."""
    command = " ".join(f"'{word}'" for word in MAKE if word != "--quiet")
    for reader in ("head -1", "true", "head -5"):
        shell = f"{{ python -m df3d {command} 2>&1; echo $? >code; }} | {reader}"
        subprocess.run(["bash", "-c", shell], cwd=tmp_path, timeout=120, check=False, capture_output=True)
        assert int((tmp_path / "code").read_text()) in (0, 130)
        told["a reader that goes away"]["saved and stopped, or finished"] += 1
        assert df3d(*MAKE, where=tmp_path).returncode == 0
        assert (tmp_path / "run" / "asset.glb").read_bytes() == whole
        shutil.rmtree(tmp_path / "run")


def test_torn_files(cli: Cli, tmp_path: Path, whole: bytes, told: Told) -> None:
    """Every kind of file of a run that was stopped in its second stage, cut at random bytes, or emptied."""
    assert cli(*MAKE, "--until", "coarse").returncode == 0
    shutil.copytree(tmp_path / "run", tmp_path / "kept")
    names = [str(path.relative_to(tmp_path / "kept")) for path in (tmp_path / "kept").rglob("*") if path.is_file()]
    dice = random.Random(4)
    for name in sorted(name for name in names if ".lock" not in name):
        for _ in range(4):
            shutil.rmtree(tmp_path / "run")
            shutil.copytree(tmp_path / "kept", tmp_path / "run")
            data = (tmp_path / "run" / name).read_bytes()
            (tmp_path / "run" / name).write_bytes(data[: dice.randrange(len(data) + 1)])
            done = cli(*MAKE)
            assert "Traceback" not in done.stderr
            if done.returncode == 0:
                assert (tmp_path / "run" / "asset.glb").read_bytes() == whole, name
            else:
                assert name.split("/")[-1] in done.stderr, (name, done.stderr)
                assert len(re.findall("^error: ", done.stderr, re.MULTILINE)) == 1
                assert cli(*MAKE, "--fresh").returncode == 0
                assert (tmp_path / "run" / "asset.glb").read_bytes() == whole
            kind = Path(name).suffix if "/" in name else name
            told[f"a torn {kind}"]["the same asset" if done.returncode == 0 else "said so; --fresh made it"] += 1
