"""Fixtures that every test can use: the command line and the catalog."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
from command import Cli, df3d

from df3d.catalog import Catalog


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return Catalog.discover()


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Run `df3d` as a person does, in an empty folder: `cli("generate", "a red car")`."""
    return partial(df3d, where=tmp_path)
