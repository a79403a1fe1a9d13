"""The command line, for tests: how to run it, and settings with which a whole run takes seconds."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

Cli = Callable[..., subprocess.CompletedProcess[str]]

TINY = [
    "--steps=6",
    *("--set=cameras.views=2", "--set=cameras.size=32", "--set=field.levels=4", "--set=field.log2_table=12"),
    *("--set=renderer.samples=24", "--set=renderer.occupancy=16", "--set=save_every=2", "--set=preview_every=3"),
    *("--set=field.resolution=12", "--set=field.fit_steps=3"),
    *("--set=export.resolution=32", "--set=export.texture_size=64", "--set=export.faces=300", "--set=export.turntable=32"),
]


def df3d(*arguments: str, where: Path = Path(), **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `df3d` as a person does, in the folder `where`."""
    env = {**os.environ, "COLUMNS": "200", **environment}
    command = [sys.executable, "-c", "from df3d.cli import main; main()", *arguments]
    return subprocess.run(command, cwd=where, env=env, capture_output=True, text=True, timeout=600)
