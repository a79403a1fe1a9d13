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


def test_only_plugins_can_be_uninstalled() -> None:
    for name in ("torch", "df3d", "nothing-of-the-kind"):
        with pytest.raises(PluginError, match=f"no installed plugin is called `{name}`"):
            install.uninstall([name])


def test_what_it_holds_is_what_is_here(tmp_path: Path) -> None:
    with install._constraints() as path:
        assert f"torch=={version('torch')}" in path.read_text().splitlines()
