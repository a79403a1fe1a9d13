"""What is looked at before anything runs, and what is said of it."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from df3d.system import checks


def test_all_that_a_run_needs_is_looked_at() -> None:
    found = {finding.what: finding for finding in checks.findings()}
    assert list(found) == ["python", "torch", "numba", "GPU", "C++ compiler", "CUDA compiler", "disk"]
    assert (found["python"].state, found["python"].detail) == ("ok", platform.python_version())
    assert (found["numba"].state, found["numba"].detail, found["numba"].needed) == ("ok", version("numba"), True)


def test_a_package_that_is_missing_says_what_it_costs_and_how_to_get_it() -> None:
    missing = checks.package("no-such-package", "no films")
    assert (missing.state, missing.without, missing.needed) == ("missing", "no films", False)
    assert missing.mend == "python -m pip install no-such-package"
    assert checks.package("no-such-package", "no films", "ask a friend", needed=True).mend == "ask a friend"
    assert checks.package("no-such-package", "no films", needed=True).needed


def test_a_gpu_is_named_with_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    none = checks._gpu()
    assert (none.state, none.detail, none.needed) == ("missing", "no CUDA device", False)
    assert none.without
    assert none.mend
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Card")
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: SimpleNamespace(total_memory=24 * 2**30))
    assert (checks._gpu().state, checks._gpu().detail) == ("ok", "Card, 24 GiB")
    monkeypatch.setitem(sys.modules, "torch", None)
    broken = checks._gpu()
    assert (broken.state, broken.needed) == ("broken", True)


def test_a_compiler_is_shown_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks.shutil, "which", lambda name: "/opt/bin/c++" if name == "c++" else None)
    cpp, cuda = checks._compilers()
    assert (cpp.what, cpp.state, cpp.detail) == ("C++ compiler", "ok", "/opt/bin/c++")
    assert (cuda.what, cuda.state, cuda.detail) == ("CUDA compiler", "missing", "no `nvcc`")
    assert cuda.without
    assert cuda.mend


@pytest.mark.parametrize(
    ("free", "state", "detail"),
    [(2**30 - 1, "broken", "1.0 GiB free"), (2**30, "ok", "1 GiB free"), (7 * 2**30, "ok", "7 GiB free")],
)
def test_less_than_a_gibibyte_is_too_little_disk(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, free: int, state: str, detail: str
) -> None:
    monkeypatch.setattr(checks, "cache_folder", lambda: tmp_path)
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free))
    found = checks._disk()
    assert (found.state, found.detail.startswith(detail)) == (state, True)
    assert str(tmp_path) in found.detail
    assert bool(found.mend and found.without) == (state == "broken")
