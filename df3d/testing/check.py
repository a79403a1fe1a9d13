"""The contract tests on an installed part, without pytest: what `df3d plugins check` does."""

from __future__ import annotations

import inspect
import sys
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from unittest import SkipTest

from df3d.plugin.records import Component
from df3d.testing.contracts import CONTRACTS, Contract


def check(part: Component) -> Iterator[dict[str, str]]:
    """One row for each test: `part`, `contract`, `state` ("ok", "skipped", "failed") and `why`."""
    contract = type("Check", (CONTRACTS[part.kind],), {"name": part.name})()
    for name in sorted(dir(contract)):
        if name.startswith("test_"):
            state, why = _run(contract, name)
            words = name.removeprefix("test_").replace("_", " ")
            yield {"part": f"{part.kind} {part.name}", "contract": words, "state": state, "why": why}


def _run(contract: Contract, name: str) -> tuple[str, str]:
    test = getattr(contract, name)
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(sys.stderr):  # stdout is for the rows
        try:
            test(**({"tmp_path": Path(folder)} if "tmp_path" in inspect.signature(test).parameters else {}))
        except SkipTest as reason:
            return "skipped", str(reason)
        except AssertionError as error:
            return "failed", str(error).splitlines()[0] if str(error) else _line(error)
        except Exception as error:
            lines = str(error).splitlines()
            return "failed", f"{type(error).__name__}: {lines[0] if lines else 'no message'}"
    return "ok", ""


def _line(error: BaseException) -> str:
    """The assertion that failed, as it stands in the source."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    return inspect.getframeinfo(trace).code_context[0].strip() if trace and inspect.getframeinfo(trace).code_context else "failed"  # type: ignore[index]
