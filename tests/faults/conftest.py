"""A table of every fault that was tried, how often, and what became of it, at the end of the session."""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

TABLE: dict[str, Counter[str]] = defaultdict(Counter)


@pytest.fixture
def told() -> dict[str, Counter[str]]:
    """What came of each fault: count one with `told["SIGKILL in coarse"]["went on"] += 1`."""
    return TABLE


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if TABLE:
        terminalreporter.write_sep("=", "faults")
    for fault in sorted(TABLE):
        outcomes = ", ".join(f"{outcome}: {count}" for outcome, count in sorted(TABLE[fault].items()))
        terminalreporter.write_line(f"{fault:45} {sum(TABLE[fault].values()):5}  {outcomes}")
