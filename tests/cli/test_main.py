"""The console script around the commands: what the system refuses, and who no longer listens."""

from __future__ import annotations

import errno
import logging
import os
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

import df3d.cli as cli
from df3d.errors import ConfigError


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Run the console script with a command that raises."""
    monkeypatch.setattr(sys, "argv", ["df3d", "x"])
    monkeypatch.setattr(cli, "_open_streams", lambda: None)
    monkeypatch.setattr(cli, "nobody_listens", lambda: None)
    monkeypatch.setattr(cli, "Catalog", SimpleNamespace(discover=lambda: None))
    before = list(logging.getLogger("df3d").handlers), logging.getLogger("df3d").level

    def run(error: BaseException | None) -> None:
        def raising() -> None:
            if error:
                raise error

        monkeypatch.setattr(cli, "build", lambda catalog: raising)
        cli.main()

    yield run
    logging.getLogger("df3d").handlers[:] = before[0]
    logging.getLogger("df3d").setLevel(before[1])


@pytest.mark.parametrize(
    ("error", "lines"),
    [
        (ConfigError("wrong", "mend it"), ["error: wrong", "hint: mend it"]),
        (
            PermissionError(errno.EACCES, "Permission denied", "x/y"),
            ["error: cannot use `x/y`: Permission denied", "hint: check its name, its permissions and the disk"],
        ),
        (UnicodeEncodeError("utf-8", "a\udc80", 1, 2, "surrogates not allowed"),
         ["error: 'a\\udc80' cannot be written as text: surrogates not allowed", "hint: use names in UTF-8"]),
    ],
)  # fmt: skip
def test_what_a_person_can_mend_is_two_lines_and_exit_code_1(
    command: Any, error: Exception, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command(error)
    assert ended.value.code == 1
    assert capsys.readouterr().err.splitlines() == lines


def test_a_full_disk_without_a_name_is_said_with_the_cache(
    command: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DF3D_CACHE", "/the/cache")
    with pytest.raises(SystemExit):
        command(OSError(errno.ENOSPC, "No space left on device"))
    error, hint = capsys.readouterr().err.splitlines()
    assert error == "error: the system refused to read or write: No space left on device"
    assert "/the/cache" in hint


def test_a_bug_is_a_traceback_and_so_is_all_with_debug(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ZeroDivisionError):
        command(ZeroDivisionError())
    monkeypatch.setattr(sys, "argv", ["df3d", "x", "--debug"])
    for error in (ConfigError("wrong"), OSError(errno.ENOSPC, "full")):
        with pytest.raises(type(error)):
            command(error)
    assert logging.getLogger("df3d").level == logging.DEBUG


def test_a_reader_who_has_gone_is_no_error_to_tell(command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        command(BrokenPipeError())
    assert ended.value.code == 1
    assert capsys.readouterr().err == ""


def test_how_torch_takes_memory_is_a_persons_to_say(command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTORCH_CUDA_ALLOC_CONF", raising=False)
    command(None)
    assert os.environ["PYTORCH_CUDA_ALLOC_CONF"] == "expandable_segments:True"
    monkeypatch.setenv("PYTORCH_CUDA_ALLOC_CONF", "mine")
    command(None)
    assert os.environ["PYTORCH_CUDA_ALLOC_CONF"] == "mine"
