"""What became of a batch: its runs, a CSV, and a gallery that opens from disk."""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from df3d.batches import attempts
from df3d.batches.plan import GALLERY, TABLE, Row, load
from df3d.batches.worker import doing, is_finished
from df3d.errors import Df3dError
from df3d.run.rundir import LARGEST, RunDir
from df3d.system.files import read_plain, replace_atomically
from df3d.system.text import csv_cell, html_text

STYLE = """
body { font: 16px system-ui, sans-serif; margin: 2rem } main { display: flex; flex-wrap: wrap; gap: 1rem }
figure { margin: 0; width: 14rem; content-visibility: auto; contain-intrinsic-size: 14rem 19rem }
img { width: 100%; aspect-ratio: 1; background: #eee; border-radius: 8px }
figcaption { font-size: 0.85rem; overflow-wrap: anywhere } .failed { color: #a00 } .best img { outline: 4px solid #2a7 }
"""
Name = Literal["done", "failed", "running", "begun", "waiting"]


@dataclass(frozen=True)
class State:
    """One run as it is now."""

    row: Row
    state: Name
    message: str = ""  # why it failed
    seconds: float = 0.0  # that it took
    scores: tuple[tuple[str, float], ...] = ()  # by "scorer.measure"
    best: bool = False  # of its prompt

    def table(self) -> dict[str, object]:
        row = self.row
        told = {"prompt": row.prompt, "seed": row.seed, "folder": row.folder, "state": self.state, "seconds": self.seconds,
                "message": self.message}  # fmt: skip
        return {**told, **({"best": self.best} if self.scores else {}), **dict(self.scores)}


def states(folder: Path, done: dict[str, State] | None = None) -> list[State]:
    """Every run of a batch, in its order. `done` keeps those that are finished, which do not change, from one call to the next.

    Raises RunError when the folder holds no batch.
    """
    done = {} if done is None else done
    running = {now.run for now in doing(folder)}
    found = []
    for row in load(folder).rows:
        state = done.get(row.folder) or _state(folder, row, running)
        if state.state == "done":
            done[row.folder] = state
        found.append(state)
    return found


def _state(folder: Path, row: Row, running: set[str]) -> State:
    place = folder / row.folder
    if is_finished(place):
        try:
            seconds = float(RunDir(place).manifest().get("seconds", 0.0))
        except (Df3dError, TypeError, ValueError):
            seconds = 0.0
        return State(row, "done", seconds=seconds, scores=_scores(place))
    if row.folder in running:
        return State(row, "running")
    if (tried := attempts.of(folder, row)).times:
        return State(row, "failed", tried.message)
    return State(row, "begun" if (place / "run.json").exists() else "waiting")


def _scores(place: Path) -> tuple[tuple[str, float], ...]:
    """What scorers said of a finished run; nothing where none was asked."""
    try:
        table = json.loads(read_plain(place / "scores.json", LARGEST))["scores"]
        return tuple((str(name), float(value)) for name, value in table.items())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return ()


def progress(folder: Path) -> str:
    """A text that changes whenever a run of the batch gets done, fails or saves a checkpoint."""
    rows = load(folder).rows
    return repr([(attempts.how_far(folder / row.folder), attempts.of(folder, row).times) for row in rows])


def counted(found: Sequence[State]) -> str:
    """`7 done, 1 failed, 4 waiting`."""
    count = Counter(state.state for state in found)
    return ", ".join(f"{count[name]} {name}" for name in get_args(Name) if count[name]) or "empty"


def write(folder: Path, found: Sequence[State]) -> None:
    """Leave the CSV and the gallery in the batch's folder."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list({key: None for state in found for key in state.table()}), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: csv_cell(value) for key, value in state.table().items()} for state in found)
    for name, content in ((TABLE, text.getvalue()), (GALLERY, gallery(folder, found))):
        replace_atomically(folder / name, lambda path, content=content: path.write_text(content, encoding="utf-8"))  # type: ignore[misc]


def gallery(folder: Path, found: Sequence[State]) -> str:
    """A page of turntables; the browser fetches each picture when it comes into sight."""
    figures = []
    for state in found:
        place, name = html_text(state.row.folder), html_text(state.row.prompt)
        if state.state == "done":
            asset = RunDir(folder / state.row.folder).asset()
            link = f"{place}/{html_text(asset.name)}" if asset else place
            picture = f'<a href="{link}"><img loading="lazy" src="{place}/turntable.webp" alt="{name}"></a>'
            scores = "".join(f"<br>{html_text(measure)} {value:.4g}" for measure, value in state.scores)
            note = f"seed {state.row.seed}, {state.seconds:.0f} s{scores}"
        else:
            picture, note = "<img alt=''>", f'<span class="failed">{state.state}</span> {html_text(state.message)}'
        kind = ' class="best"' if state.best else ""
        figures.append(f"<figure{kind}>{picture}<figcaption>{name}<br>{note}</figcaption></figure>")
    head = '<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">'
    title = counted(found)
    return f"{head}<title>{title}</title><style>{STYLE}</style><h1>{title}</h1><main>{''.join(figures)}</main></html>"
