"""How a run is shown: a live display on a terminal, plain lines elsewhere, JSON lines for programs, or nothing."""

from __future__ import annotations

from contextlib import suppress
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from df3d import events
from df3d.cli.context import put_json, say
from df3d.events import Event
from df3d.system.text import printable


class Reporter(Protocol):
    """Shows events as they come; used as a context, so that a display is taken down whatever happens."""

    def __enter__(self) -> Self: ...

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def __call__(self, event: Event) -> None: ...


class _Plain:
    """A context that does nothing around it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...


class QuietReporter(_Plain):
    """Nothing but what is done instead of something else."""

    def __call__(self, event: Event) -> None:
        if isinstance(event, events.Notice) and event.instead:
            say(f"note: {event.text}")


class JsonReporter(_Plain):
    """One JSON object a line on stdout: the lines of events.jsonl."""

    def __call__(self, event: Event) -> None:
        put_json(event.json())


def sentence(event: Event) -> str | None:
    """What an event says to a person; None where it says nothing new."""
    match event:
        case events.RunStarted(run=run, prompt=prompt, recipe=recipe, device=device):
            return f"{prompt!r} with recipe {recipe} on {device}, in {run}"
        case events.Notice(text=text):
            return f"note: {text}"
        case events.StageStarted(stage=stage, step=step, of=of):
            return f"stage {stage}: {of} steps" + (f", going on from {step}" if step else "")
        case events.Previewed(path=path):
            return f"picture: {path}"
        case events.StageFinished(stage=stage, seconds=seconds):
            return f"stage {stage} finished in {_duration(seconds)}"
        case events.Exporting(what=what):
            return f"export: {what}"
        case events.RunPaused(stage=stage):
            return f"paused after stage {stage}; the same command without --until goes on"
        case events.RunFinished(seconds=seconds):
            return f"finished in {_duration(seconds)}"
    return None


class PlainReporter(_Plain):
    """Lines on stderr, for logs and pipes."""

    def __init__(self, every: int = 50) -> None:
        self._every = every

    def __call__(self, event: Event) -> None:
        if isinstance(event, events.Stepped):
            if event.step % self._every == 0 or event.step == event.of:
                say(f"{event.stage} {event.step}/{event.of}  {_measures(event)}")
        elif text := sentence(event):
            say(text)


class LiveReporter:
    """A progress bar on stderr with speed, time left and opacity, and what happens above it."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        self._progress = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            TextColumn("{task.fields[measures]}", style="cyan", markup=False),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task: TaskID | None = None
        self._picture: object = None

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        with suppress(OSError):  # the terminal may be gone
            self._progress.stop()
            if self._picture and kind is None:
                self._console.print(f"pictures: {printable(self._picture)}")

    def __call__(self, event: Event) -> None:
        if isinstance(event, events.StageStarted):
            self._task = self._progress.add_task(event.stage, total=event.of, completed=event.step, measures="starting")
        elif isinstance(event, events.Stepped) and self._task is not None:
            self._progress.update(self._task, completed=event.step, measures=_measures(event))
        elif isinstance(event, events.Previewed):
            if self._picture is None:
                self._console.print(f"previews appear in {printable(event.path.parent)}")
            self._picture = event.path
        elif text := sentence(event):
            self._console.print(printable(text))


def _measures(event: events.Stepped) -> str:
    opacity = event.stats.get("opacity", 0.0)
    return f"{event.seconds_per_step * 1e3:.0f} ms/step  opacity {opacity:.2f}"


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{int(seconds // 60)} min {int(seconds % 60)} s"
