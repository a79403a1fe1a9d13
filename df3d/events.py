"""What a run says while it works. Reporters show events, `events.jsonl` keeps them, plugins can watch them."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Event:
    """The base of all: `json` gives the line that `--json` prints."""

    def json(self) -> dict[str, Any]:
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        plain = {key: str(value) if isinstance(value, Path) else value for key, value in values.items()}
        return {"event": type(self).__name__, **plain}


@dataclass(frozen=True)
class RunStarted(Event):
    run: Path
    prompt: str
    recipe: str
    device: str
    seed: int
    stages: dict[str, int]  # name -> steps


@dataclass(frozen=True)
class Notice(Event):
    """Something a person should know, in one sentence.

    With `instead` it says what is done in place of something that was asked for, or would be better: `--quiet` shows these too.
    """

    text: str
    instead: bool = False


@dataclass(frozen=True)
class StageStarted(Event):
    stage: str
    step: int  # steps already done
    of: int


@dataclass(frozen=True)
class Stepped(Event):
    stage: str
    step: int  # steps done
    of: int
    seconds_per_step: float
    stats: dict[str, float]  # opacity and what the guidance and penalties report


@dataclass(frozen=True)
class Previewed(Event):
    path: Path


@dataclass(frozen=True)
class Saved(Event):
    path: Path
    step: int


@dataclass(frozen=True)
class StageFinished(Event):
    stage: str
    seconds: float


@dataclass(frozen=True)
class Exporting(Event):
    """One part of the way from field to file has begun."""

    what: str


@dataclass(frozen=True)
class RunPaused(Event):
    """The run was to end after this stage; the same command without `--until` goes on."""

    run: Path
    stage: str


@dataclass(frozen=True)
class RunFinished(Event):
    run: Path
    asset: Path
    seconds: float
    files: tuple[str, ...] = ()
