"""What ends a run from outside, and what is left as it was."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator

import pytest

from df3d.run.signals import listening

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
NUMBERS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def earlier(number: int, frame: object) -> None:
    """What listened before."""


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    before = {number: signal.signal(number, earlier) for number in NUMBERS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_asks_to_stop_and_says_so_once(number: signal.Signals) -> None:
    stop, said = threading.Event(), list[str]()
    with listening(stop, said.append):
        assert not stop.is_set()
        signal.raise_signal(number)
        assert stop.is_set()
        assert said == ["stopping after this step; once more to stop at once"]
        if number == signal.SIGHUP:
            signal.raise_signal(number)  # a terminal that closes says so twice
        else:
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(number)
    assert len(said) == 1
    assert signal.getsignal(number) == earlier


@pytest.mark.parametrize("number", NUMBERS)
def test_what_is_ignored_stays_ignored(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    stop = threading.Event()
    with listening(stop, print):
        signal.raise_signal(number)
        assert not stop.is_set()
    assert signal.getsignal(number) == signal.SIG_IGN


def test_a_terminal_that_is_gone_cannot_be_told_and_the_run_stops_all_the_same() -> None:
    def gone(words: str) -> None:
        raise BrokenPipeError

    stop = threading.Event()
    with listening(stop, gone):
        signal.raise_signal(signal.SIGTERM)
        assert stop.is_set()


def test_handlers_come_back_when_the_run_fails() -> None:
    with pytest.raises(ZeroDivisionError), listening(threading.Event(), print):
        raise ZeroDivisionError
    assert [signal.getsignal(number) for number in NUMBERS] == [earlier] * 3


def test_outside_the_main_thread_nothing_is_heard_and_nothing_breaks() -> None:
    done = list[bool]()

    def work() -> None:
        with listening(threading.Event(), print):
            done.append(all(signal.getsignal(number) == earlier for number in NUMBERS))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [True]
