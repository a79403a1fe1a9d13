"""The command line, for tests: its type, and settings with which a whole run takes seconds."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

Cli = Callable[..., subprocess.CompletedProcess[str]]

TINY = [
    "--steps=6",
    *("--set=cameras.views=2", "--set=cameras.size=32", "--set=field.levels=4", "--set=field.log2_table=12"),
    *("--set=renderer.samples=24", "--set=renderer.occupancy=16", "--set=save_every=2", "--set=preview_every=3"),
    *("--set=export.resolution=32", "--set=export.texture_size=64", "--set=export.faces=300", "--set=export.turntable=32"),
]
