"""The cache folder: code is loaded from it, so it must be the user's alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from df3d.system import machine


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("DF3D_CACHE", raising=False)
    return tmp_path / "home" / "df3d"


def test_it_is_made_for_the_user_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path) -> None:
    assert machine.cache_folder() == home
    assert home.stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("DF3D_CACHE", str(tmp_path / "mine"))
    assert machine.cache_folder() == tmp_path / "mine"


def test_one_that_cannot_be_made_is_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("DF3D_CACHE", str(tmp_path / "file" / "below"))
    assert machine.cache_folder() == home


def spoil(how: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    if how == "others write":
        folder.chmod(0o777)
    elif how == "others write above":
        folder.parent.chmod(0o777)
    elif how == "a link":
        folder.rename(folder.with_name("elsewhere"))
        folder.symlink_to(folder.with_name("elsewhere"))
    elif how == "another owner":
        mine = os.getuid()
        monkeypatch.setattr(os, "getuid", lambda: mine + 1)


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners on this system")
@pytest.mark.parametrize("how", ["others write", "others write above", "a link", "another owner"])
def test_one_that_another_can_change_is_refused(
    how: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path, home: Path
) -> None:
    shared = tmp_path / "disk" / "shared"
    shared.parent.mkdir()
    spoil(how, shared, monkeypatch)
    (shared / "planted.nbi").write_bytes(b"code")
    monkeypatch.setenv("DF3D_CACHE", str(shared))
    found = machine.cache_folder()
    assert found != shared
    assert not (found / "planted.nbi").exists()
    assert found == machine.cache_folder(), "one folder for a process"
    said = capsys.readouterr().err
    assert said.count("DF3D_CACHE is not used") == 1
    assert str(shared) in said


def test_compilers_keep_their_work_there(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    for variable in ("NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.delenv(variable, raising=False)
    machine.use_cache_folder()
    assert {Path(os.environ[v]).parent for v in ("NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")} == {home}
