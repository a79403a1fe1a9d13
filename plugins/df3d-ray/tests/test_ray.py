"""The launcher `ray`: its contract, what it says where something does not fit, and runs that come back through Ray."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command import TINY, df3d
from df3d_ray import config, launcher
from df3d_ray.actor import Hands
from df3d_ray.config import RayConfig, ready
from df3d_ray.launcher import RayLauncher, Rows, Team
from df3d_ray.packing import pack, unpack

from df3d.errors import ModelError, PluginError
from df3d.testing import LauncherContract


@pytest.fixture
def ray(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    module = pytest.importorskip("ray")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    yield module
    module.shutdown()


@pytest.mark.usefixtures("ray")
class TestRay(LauncherContract):
    name = "ray"


def test_without_ray_and_with_an_old_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="needs Ray, which is not installed"):
        ready(RayConfig())
    monkeypatch.setattr(config, "find_spec", lambda name: True)
    monkeypatch.setattr(config, "version", lambda name: "2.9.3")
    with pytest.raises(ModelError, match="needs Ray 2.40 or newer, and 2.9.3 is installed"):
        ready(RayConfig())
    for found in ("2.40.0", "2.60.1", "3.0.0rc1"):
        monkeypatch.setattr(config, "version", lambda name, found=found: found)
        ready(RayConfig())


def test_a_cluster_that_is_not_there(ray: Any) -> None:
    with pytest.raises(PluginError, match="no Ray cluster can be used at 127.0.0.1:1: "):
        RayLauncher(RayConfig(address="127.0.0.1:1")).start([sys.executable, "-c", "pass"], 1, {})


def about(**changes: Any) -> dict[str, Any]:
    own = Hands({}).about("/nowhere")
    return {**own, **changes}


def test_nodes_of_other_versions_and_nodes_that_do_not_see_the_folder(tmp_path: Path) -> None:
    (tmp_path / "batch.json").write_text('{"rows": []}')
    team = Team(tmp_path, "auto")
    with pytest.raises(PluginError, match=r"has python 3\.4\.1, and this machine"):
        team.check(about(versions={"python": "3.4.1"}))
    with pytest.raises(PluginError, match=r"has df3d 0\.0\.1, and this machine"):
        team.check(about(versions={"df3d": "0.0.1"}))
    team.check(about(sees=True))
    assert team.rows is None
    with pytest.raises(PluginError, match="does not see the folder"):
        team.check(about(sees=False))
    other = Team(tmp_path, "auto")
    other.check(about(sees=False))
    assert other.rows is not None


def test_a_folder_comes_back_whole(tmp_path: Path) -> None:
    run, elsewhere = tmp_path / "run", tmp_path / "elsewhere"
    (run / "coarse").mkdir(parents=True)
    (run / "coarse" / "step-000002.safetensors").write_bytes(b"weights")
    (run / ".lock").touch()
    (run / "link").symlink_to("/etc/passwd")
    assert pack(tmp_path / "gone") is None
    data = pack(run)
    assert data is not None
    elsewhere.mkdir()
    (elsewhere / "older").touch()
    unpack(data, elsewhere, tmp_path / ".batch")
    assert [str(path.relative_to(elsewhere)) for path in sorted(elsewhere.rglob("*"))] == [
        "coarse",
        "coarse/step-000002.safetensors",
    ]
    with pytest.raises(tarfile.TarError):
        unpack(data[:700], elsewhere, tmp_path / ".batch")
    assert (elsewhere / "coarse").is_dir()
    assert list((tmp_path / ".batch").iterdir()) == []


def test_rows_that_are_finished_are_not_handed_out(tmp_path: Path) -> None:
    finished = tmp_path / "run"
    finished.mkdir()
    (finished / "run.json").write_text('{"status": "finished", "asset": "asset.glb"}')
    (finished / "asset.glb").touch()
    (tmp_path / "batch.json").write_text(json.dumps({"rows": [{"folder": "run"}, {"folder": "other"}]}))
    rows = Rows(tmp_path)
    assert list(rows.left) == ["other"]
    rows.put("other", pack(finished), '{"times": 1, "message": "no"}')
    assert list(Rows(tmp_path).left) == []
    assert (tmp_path / ".batch" / "attempts" / "other.json").is_file()


def test_runs_come_back_through_ray(ray: Any, tmp_path: Path) -> None:
    """Where no folder is shared, one that failed too, with its reason."""
    flat = "coarse.field.blob_density=0.0 coarse.field.density_bias=-30.0 steps=1"
    (tmp_path / "list.csv").write_text(f"prompt,set\na red car,\na blue car,{flat}\n")
    command = [sys.executable, "-m", "df3d", "batch", "list.csv", "--out", "many", *TINY, "--device", "cpu", "--retries", "0"]
    done = subprocess.run([*command, "--launcher", "ray", "--launch", "shared=no", "--workers", "1"], cwd=tmp_path, text=True,
                          capture_output=True, timeout=300)  # fmt: skip
    assert done.stdout == "many/a-red-car/asset.glb\n", done.stderr
    assert done.returncode == 1
    assert "`a blue car` first: the field is empty" in done.stderr
    assert df3d("generate", "a red car", "--out", "alone", *TINY, "--device", "cpu", "--quiet", where=tmp_path).returncode == 0
    alone, made = ((tmp_path / place / "asset.glb").read_bytes() for place in ("alone", "many/a-red-car"))
    assert made == alone
    assert not list(tmp_path.glob("many/a-red-car/.l*"))


def test_what_is_passed_to_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ray passes nothing on."""
    assert all(name.startswith(launcher.PASSED) for name in ("DF3D_X", "HF_HOME", "HF_HUB_OFFLINE", "PYTORCH_CUDA_ALLOC_CONF"))
    assert not "HOME".startswith(launcher.PASSED)


@pytest.mark.parametrize(("told", "there", "expected"), [(-1, 4, 1), (-1, 0, 0), (0, 4, 0), (0.5, 4, 0.5), (2, 4, 2)])
def test_gpus_are_those_that_are_asked_for(told: float, there: float, expected: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(RayLauncher, "_cluster", lambda self: {"GPU": there, "CPU": 16.0})
    launcher = RayLauncher(RayConfig(gpus=told, threads=4))
    assert launcher._gpus() == expected
    assert launcher.workers() == (int(there / expected) if expected else 4)
