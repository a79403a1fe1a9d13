"""`df3d plugins install`: what it would change, what it holds, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from df3d.errors import PluginError
from df3d.plugin import install
from df3d.plugin.new import write


def package(folder: Path, requirement: str) -> str:
    made = write("lush", "guidance", folder)
    project = (made / "pyproject.toml").read_text()
    (made / "pyproject.toml").write_text(project.replace(f'"df3d>={version("df3d")}"', requirement))
    return str(made)


def test_a_plugin_is_previewed_and_nothing_is_installed(tmp_path: Path) -> None:
    assert install.preview([package(tmp_path, '"df3d"')]) == ["df3d-lush 0.1.0"]
    assert subprocess.run([sys.executable, "-c", "import df3d_lush"], capture_output=True).returncode == 1


def test_one_that_would_change_torch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PluginError, match="it wants another torch than") as refused:
        install.preview([package(tmp_path, '"torch<2.0"')])
    assert "environment of its own" in refused.value.hint


def test_a_spec_that_does_not_resolve_is_one_sentence(tmp_path: Path) -> None:
    for spec in (str(tmp_path / "nowhere"), "df3d-no-such-plugin-at-all", "not a spec !!"):
        with pytest.raises(PluginError, match="cannot be installed: ") as refused:
            install.preview([spec])
        assert "\n" not in refused.value.message
        assert refused.value.hint


def test_what_it_holds_is_what_is_here(tmp_path: Path) -> None:
    with install._constraints() as path:
        assert f"torch=={version('torch')}" in path.read_text().splitlines()


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The commands of pip and uv, which do nothing here."""
    seen: list[list[str]] = []

    def run(command: list[str]) -> subprocess.CompletedProcess[str]:
        seen.append(command)
        told = "Would install\n + lush==1.0\n - lush==0.9\n ~ other==2\nnothing else\n"
        return subprocess.CompletedProcess(command, 0, "", told)

    monkeypatch.setattr(install, "_run", run)
    return seen


@pytest.mark.parametrize("upgrade", [False, True])
def test_newer_versions_are_taken_where_that_is_asked_for(commands: list[list[str]], upgrade: bool) -> None:
    install.install(["df3d-lush"], upgrade=upgrade)
    (command,) = commands
    assert command[:4] == [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    assert ("--upgrade" in command) == upgrade
    assert command[-1] == "df3d-lush"
    assert "--constraint" in command
    assert "--dry-run" not in command


def test_without_pip_uv_says_what_would_change(commands: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "_has_pip", lambda: False)
    (tmp_path / "uv").write_text("#!/bin/sh\n")
    (tmp_path / "uv").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert install.preview(["df3d-lush"]) == ["+ lush==1.0", "- lush==0.9", "~ other==2"]
    assert commands[0][:4] == [str(tmp_path / "uv"), "pip", "install", "--dry-run"]
    install.uninstall(["df3d-toybox"])
    assert commands[1] == [str(tmp_path / "uv"), "pip", "uninstall", "df3d-toybox"]
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PluginError, match="there is neither pip nor uv"):
        install.preview(["df3d-lush"])


def test_only_plugins_can_be_uninstalled(commands: list[list[str]]) -> None:
    for name in ("torch", "df3d", "nothing-of-the-kind"):
        with pytest.raises(PluginError, match=f"no installed plugin is called `{name}`"):
            install.uninstall([name])
    assert not commands


def test_a_name_may_be_spelt_as_pip_lets_one_spell_it(commands: list[list[str]]) -> None:
    install.uninstall(["DF3D_toybox", "df3d.clip"])
    assert commands[0][-4:] == ["uninstall", "--yes", "DF3D_toybox", "df3d.clip"]


def test_what_is_here_already_is_told_with_its_version() -> None:
    assert install._change("torch", "99.0") == f"torch 99.0 (now {version('torch')})"
    assert install._change("nothing-of-the-kind", "1.0") == "nothing-of-the-kind 1.0"


def test_what_df3d_runs_on_is_held() -> None:
    with install._constraints() as path:
        held = dict(line.split("==") for line in path.read_text().splitlines())
    assert {"torch", "numpy", "diffusers", "transformers", "df3d"} <= set(held)
    assert all(version(name) == found for name, found in held.items())


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ("ERROR: no such thing\n", "`a`, `b` cannot be installed: no such thing"),
        ("warning: x\nerror: the disk is full\nmore\n", "`a`, `b` cannot be installed: the disk is full"),
        ("it went wrong\n", "`a`, `b` cannot be installed: it went wrong"),
        ("", "`a`, `b` cannot be installed: no reason given"),
        ("The user requested (constraint) numpy==1.0\n", "`a`, `b` cannot be installed: it wants another numpy than"),
    ],
)
def test_the_reason_is_the_line_that_says_it(told: str, message: str) -> None:
    with pytest.raises(PluginError) as error:
        install._check(subprocess.CompletedProcess([], 1, "", told), ["a", "b"])
    assert error.value.message.startswith(message)
    install._check(subprocess.CompletedProcess([], 0, "", told), ["a", "b"])
