"""What somebody finds who looks at the machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Finding:
    """One thing that `df3d doctor` looked at. `needed`: nothing runs without it."""

    what: str
    state: Literal["ok", "missing", "broken"]
    detail: str
    without: str = ""  # what it costs to be without
    mend: str = ""  # the one command
    needed: bool = False
