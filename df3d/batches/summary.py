"""What became of a batch: its runs, a CSV, and a gallery that opens from disk."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from df3d.batches.plan import Row, load
from df3d.batches.worker import failures, is_finished
from df3d.errors import Df3dError
from df3d.run.rundir import RunDir
from df3d.system.files import replace_atomically
from df3d.system.text import csv_cell, html_text

TABLE, GALLERY = "batch.csv", "index.html"
STYLE = """
body { font: 16px system-ui, sans-serif; margin: 2rem } main { display: flex; flex-wrap: wrap; gap: 1rem }
figure { margin: 0; width: 14rem } img { width: 100%; aspect-ratio: 1; background: #eee; border-radius: 8px }
figcaption { font-size: 0.85rem } .failed { color: #a00 }
"""


@dataclass(frozen=True)
class State:
    """One run as it is now."""

    row: Row
    state: Literal["done", "failed", "begun", "waiting"]
    message: str = ""  # why it failed
    seconds: float = 0.0  # that it took

    def table(self) -> dict[str, object]:
        row = self.row
        return {"prompt": row.prompt, "seed": row.seed, "folder": row.folder, "state": self.state, "seconds": self.seconds,
                "message": self.message}  # fmt: skip


def states(folder: Path) -> list[State]:
    """Every run of a batch, in its order.

    Raises RunError when the folder holds no batch.
    """
    return [_state(folder, row) for row in load(folder).rows]


def _state(folder: Path, row: Row) -> State:
    place = folder / row.folder
    if is_finished(place):
        try:
            seconds = float(RunDir(place).manifest().get("seconds", 0.0))
        except (Df3dError, TypeError, ValueError):
            seconds = 0.0
        return State(row, "done", seconds=seconds)
    times, message = failures(folder, row)
    if times:
        return State(row, "failed", message)
    return State(row, "begun" if (place / "run.json").exists() else "waiting")


def counted(found: Sequence[State]) -> str:
    """`7 done, 1 failed, 4 waiting`."""
    count = Counter(state.state for state in found)
    return ", ".join(f"{count[name]} {name}" for name in ("done", "failed", "begun", "waiting") if count[name]) or "empty"


def write(folder: Path, found: Sequence[State]) -> None:
    """Leave the CSV and the gallery in the batch's folder."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(found[0].table() if found else [])
    writer.writerows([csv_cell(value) for value in state.table().values()] for state in found)
    for name, content in ((TABLE, text.getvalue()), (GALLERY, gallery(folder, found))):
        replace_atomically(folder / name, lambda path, content=content: path.write_text(content, encoding="utf-8"))  # type: ignore[misc]


def gallery(folder: Path, found: Sequence[State]) -> str:
    """A page of turntables; the browser fetches each picture when it comes into sight."""
    figures = []
    for state in found:
        place, name = state.row.folder, html_text(state.row.prompt)
        if state.state == "done":
            asset = RunDir(folder / place).asset()
            link = f"{place}/{asset.name}" if asset else place
            picture = f'<a href="{html_text(link)}"><img loading="lazy" src="{html_text(place)}/turntable.webp" alt="{name}"></a>'
            note = f"seed {state.row.seed}, {state.seconds:.0f} s"
        else:
            picture, note = "<img alt=''>", f'<span class="failed">{state.state}</span> {html_text(state.message)}'
        figures.append(f"<figure>{picture}<figcaption>{name}<br>{note}</figcaption></figure>")
    head = '<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">'
    title = counted(found)
    return f"{head}<title>{title}</title><style>{STYLE}</style><h1>{title}</h1><main>{''.join(figures)}</main></html>"
