from __future__ import annotations

import os
from pathlib import Path

import pytest

from df3d.errors import RunError
from df3d.system.files import append_plain, is_plain, read_plain, replace_atomically


def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(RunError, match="No space left on device"):
        replace_atomically(path, fail)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a.txt"]


def test_permissions_pass_on(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    replace_atomically(path, lambda at: at.write_text("first"))
    (tmp_path / "usual").write_text("")
    assert path.stat().st_mode == (tmp_path / "usual").stat().st_mode
    path.chmod(0o640)
    replace_atomically(path, lambda at: at.write_text("second"))
    assert path.stat().st_mode & 0o777 == 0o640


def test_links_are_replaced_and_never_followed(tmp_path: Path) -> None:
    (tmp_path / "private").write_text("secret")
    link = tmp_path / "a.txt"
    link.symlink_to(tmp_path / "private")
    assert not is_plain(link)
    with pytest.raises(OSError, match="."):
        read_plain(link, 100)
    with pytest.raises(OSError, match="."):
        append_plain(link, "more")
    replace_atomically(link, lambda at: at.write_text("mine"))
    assert (tmp_path / "private").read_text() == "secret"
    assert is_plain(link)


def test_no_name_is_known_before(tmp_path: Path) -> None:
    seen = []
    for _ in range(2):
        replace_atomically(tmp_path / "a", lambda at: (seen.append(at), at.write_text("x")))
    assert len(set(seen)) == 2


def test_pipes_and_large_files_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(100))
    assert read_plain(tmp_path / "large", 100) == bytes(100)
    with pytest.raises(OSError, match="larger than 99"):
        read_plain(tmp_path / "large", 99)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match="."):
            read_plain(tmp_path / "pipe", 99)
