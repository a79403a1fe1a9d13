"""Fixtures that every test can use: the command line and the catalog."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path

import pytest
from command import TINY, Cli, df3d
from minimal import MINIMAL

from df3d.plugin.catalog import Catalog


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return Catalog.discover()


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Run `df3d` as a person does, in an empty folder: `cli("generate", "a red car")`."""
    return partial(df3d, where=tmp_path)


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    done = df3d("generate", "a red car", "--out", "run", "--quiet", *TINY, where=folder)
    assert done.returncode == 0, done.stderr
    return folder / "run"


@pytest.fixture
def finished(small_run: Path, tmp_path: Path) -> Path:
    """A finished run of `generate "a red car"` with the settings TINY, at `run` in the folder of `cli`."""
    return Path(shutil.copytree(small_run, tmp_path / "run"))


@pytest.fixture
def mini(tmp_path: Path) -> Path:
    path = tmp_path / "mini.toml"
    path.write_text(MINIMAL)
    return path
