"""The cache folder: code is loaded from it, so it must be the user's alone."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

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


def test_where_compilers_are_told_to_work_is_left_alone(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    for variable in ("NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR"):
        monkeypatch.setenv(variable, "mine")
    assert machine.use_cache_folder() == home
    assert {os.environ[v] for v in ("NUMBA_CACHE_DIR", "TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR")} == {"mine"}


def test_a_home_is_known_by_its_sign(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(machine, "_first_private", machine._first_private.__wrapped__)  # not what it found in another home
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("DF3D_CACHE", "~/mine")
    assert machine.cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("DF3D_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert machine.cache_folder() == tmp_path / ".cache" / "df3d"


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners on this system")
def test_a_folder_of_ones_own_is_closed_to_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir(mode=0o755)
    monkeypatch.setenv("DF3D_CACHE", str(tmp_path / "mine"))
    assert machine.cache_folder() == tmp_path / "mine"
    assert (tmp_path / "mine").stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="no owners on this system")
def test_a_folder_that_everybody_writes_to_is_safe_where_nobody_can_move_what_is_anothers(tmp_path: Path) -> None:
    """As in /tmp: its sticky bit keeps others from putting another folder in the place of this."""
    (tmp_path / "shared" / "mine").mkdir(parents=True)
    (tmp_path / "shared").chmod(0o1777)
    assert machine._is_private(tmp_path / "shared" / "mine")
    (tmp_path / "shared").chmod(0o777)
    assert not machine._is_private(tmp_path / "shared" / "mine")


def test_a_full_disk_is_no_place_for_kernels(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, home: Path) -> None:
    free = {"bytes": 64 << 20}
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda folder: SimpleNamespace(free=free["bytes"]))
    monkeypatch.setenv("DF3D_CACHE", str(tmp_path / "full"))
    assert machine.cache_folder() not in (tmp_path / "full", home)
    free["bytes"] += 1
    monkeypatch.setenv("DF3D_CACHE", str(tmp_path / "enough"))
    assert machine.cache_folder() == tmp_path / "enough"


def test_only_a_folder_that_was_asked_for_is_missed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.delenv("DF3D_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    machine.cache_folder()
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("DF3D_CACHE", str(tmp_path / "file" / "too"))
    machine.cache_folder()
    assert capsys.readouterr().err.count("warning") == 1


def test_memory_is_told_in_mebibytes(monkeypatch: pytest.MonkeyPatch) -> None:
    import resource

    monkeypatch.setattr(resource, "getrusage", lambda who: SimpleNamespace(ru_maxrss=3 << 20))
    monkeypatch.setattr(machine.sys, "platform", "linux")
    assert machine.peak_memory_mib() == 3 << 10  # of kibibytes
    monkeypatch.setattr(machine.sys, "platform", "darwin")
    assert machine.peak_memory_mib() == 3  # of bytes
