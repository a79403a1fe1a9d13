"""What ends a run from outside: Ctrl-C, a terminal that goes away, a request to terminate."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def listening(stop: threading.Event, say: Callable[[str], object]) -> Iterator[None]:
    """Let the signals that end a run set `stop`, except those that are ignored, as `nohup` has it.

    The first Ctrl-C, or a terminal that goes away, ends the run after its step with a checkpoint; the second Ctrl-C raises
    KeyboardInterrupt at once. Outside the main thread, which alone hears signals, this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handler(number: int, frame: object) -> None:
        if stop.is_set():
            if number in (signal.SIGINT, signal.SIGTERM):
                raise KeyboardInterrupt
            return  # a terminal that closes says so twice
        stop.set()
        with suppress(OSError):
            say("stopping after this step; once more to stop at once")

    names = [name for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
    numbers = [number for name in names if signal.getsignal(number := getattr(signal, name)) is not signal.SIG_IGN]
    before = {number: signal.signal(number, handler) for number in numbers}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
