"""Fixtures that every test can use: the command line and the catalog."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from command import Cli

from df3d.catalog import Catalog


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return Catalog.discover()


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Run `df3d` as a person does, in an empty folder: `cli("generate", "a red car")`."""

    def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "COLUMNS": "200", **environment}
        command = [sys.executable, "-c", "from df3d.cli import main; main()", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)

    return run
