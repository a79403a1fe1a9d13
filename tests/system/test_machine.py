from __future__ import annotations

import os
from pathlib import Path

import pytest

from df3d.system import machine


def test_the_cache_is_somewhere_that_can_be_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DF3D_CACHE", str(tmp_path / "mine"))
    assert machine.cache_folder() == tmp_path / "mine"
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DF3D_CACHE", str(tmp_path / "file" / "below"))
    other = machine.cache_folder()
    assert other != tmp_path / "file" / "below"
    assert os.access(other, os.W_OK)
