"""A recipe for tests that says no more than it must."""

from __future__ import annotations

from pathlib import Path

MINIMAL = """
name = "mini"
[[stage]]
name = "coarse"
steps = 3
field = { use = "hashgrid", levels = 4 }
renderer = { use = "raymarch" }
guidance = { use = "toybox" }
"""


def change(path: Path, old: str, new: str) -> Path:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    return path
