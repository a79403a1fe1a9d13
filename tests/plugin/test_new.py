"""`df3d plugins new`: what it writes can be installed, keeps its contract, and is used."""

from __future__ import annotations

import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from command import TINY, Cli, df3d, pip_install

from df3d.errors import ConfigError, Df3dError, RunError
from df3d.plugin.new import write
from df3d.plugin.records import KINDS


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A plugin of each kind, `new-field` and so on, installed with pip."""
    source, folder = tmp_path_factory.mktemp("new"), tmp_path_factory.mktemp("new-site")
    pip_install(folder, *(write(f"new-{kind}", kind, source) for kind in KINDS))
    return folder


@pytest.fixture
def run(site: Path, tmp_path: Path) -> Cli:
    return partial(df3d, where=tmp_path, site=site)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_listed_and_keeps_its_contract(run: Cli, kind: str) -> None:
    assert f"new-{kind}" in run("plugins", "show", f"new-{kind}").stdout
    done = run("plugins", "check", f"new-{kind}")
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("ok ") >= 5
    assert "failed" not in done.stdout


def test_their_own_tests_pass(site: Path, tmp_path: Path) -> None:
    folder = write("new-importer", "importer", tmp_path)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder / "tests")]
    import os

    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(site)}, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout


def test_a_run_uses_six_of_them(run: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        """
name = "mine"
[[stage]]
name = "coarse"
steps = 5
field = { use = "new-field", radius = 0.6 }
renderer = { use = "new-renderer", samples = 32 }
guidance = { use = "new-guidance", color = [0.1, 0.2, 0.9] }
cameras = { use = "new-cameras", views = 2, size = 24 }
optimizer = { use = "new-optimizer" }
penalties = { new-penalty = 0.5 }
[export]
resolution = 24
texture_size = 64
turntable = 32
"""
    )
    done = run("generate", "anything at all", "--recipe", "mine.toml", "--out", "run")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "asset.glb").stat().st_size > 1000


def test_commands_use_the_others(run: Cli, tmp_path: Path) -> None:
    (tmp_path / "one.toml").write_text('[[stage]]\nname = "whole"\nsource = { use = "new-source" }\n[export]\nturntable = 32\n')
    assert run("generate", "a ball", "--recipe", "one.toml", "--out", "run", "--quiet").stdout == "run/asset.glb\n"
    assert run("export", "run", "--format", "new-exporter", "--quiet").stdout == "run/asset.off\n"
    assert run("render", "run/asset.off", "--size", "32", "--views", "4").stdout == "run/asset-turntable.webp\n"
    scored = run("eval", "run", "--scorer", "new-scorer", "--json")
    assert '"new-scorer.brightness"' in scored.stdout, scored.stderr
    (tmp_path / "list.txt").write_text("a red car\n")
    small = [s for s in TINY if s.startswith("--set")]
    done = run("batch", "list.txt", "--out", "many", "--launcher", "new-launcher", "--set=steps=2", *small)
    assert done.stdout == "many/a-red-car/asset.glb\n", done.stderr


@pytest.mark.parametrize(
    ("name", "kind", "error", "message"),
    [
        ("lush", "guidence", ConfigError, "there is no kind `guidence`"),
        ("1lush", "guidance", ConfigError, "`1lush` cannot be the name of a plugin"),
        ("Lush", "guidance", ConfigError, "`Lush` cannot be the name of a plugin"),
        ("a b", "guidance", ConfigError, "`a b` cannot be the name of a plugin"),
        ("../lush", "guidance", ConfigError, "cannot be the name of a plugin"),
        ("there", "guidance", RunError, "is there already"),
    ],
)
def test_what_cannot_be_made_is_one_sentence(tmp_path: Path, name: str, kind: str, error: type[Df3dError], message: str) -> None:
    (tmp_path / "df3d-there").mkdir()
    with pytest.raises(error, match=message) as refused:
        write(name, kind, tmp_path)
    assert refused.value.hint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["df3d-there"]


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write"):
        write("lush", "guidance", tmp_path / "file")


def test_the_command_ends_with_what_to_type_next(cli: Cli) -> None:
    done = cli("plugins", "new", "lush", "--kind", "field")
    assert done.stdout == "df3d-lush\n"
    assert done.stderr.splitlines() == [
        "python -m pip install -e df3d-lush",
        "df3d plugins show lush",
        "df3d plugins check lush",
    ]
