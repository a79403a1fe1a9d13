from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from safetensors import SafetensorError

from df3d.errors import ConfigError, RunError
from df3d.system.files import append_plain, check_place, is_plain, read_plain, read_text, replace_atomically


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


def test_a_file_that_a_person_named_may_be_a_link_and_begin_with_a_mark(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("é", encoding="utf-8-sig")
    (tmp_path / "link").symlink_to(tmp_path / "a.txt")
    assert read_text(tmp_path / "link") == "é"
    assert read_text(tmp_path / "a.txt", 5) == "é"  # the mark has three bytes, the letter two
    with pytest.raises(OSError, match="larger than 4 bytes"):
        read_text(tmp_path / "a.txt", 4)
    (tmp_path / "latin").write_bytes(b"\xe9")
    with pytest.raises(UnicodeDecodeError):
        read_text(tmp_path / "latin")
    (tmp_path / "list").write_text("x" * 1_000_000)
    assert len(read_text(tmp_path / "list")) == 1_000_000


def test_folders_are_made_and_long_names_are_written(tmp_path: Path) -> None:
    path = tmp_path / "new" / "folder" / ("é" * 20 + "a" * 200)
    replace_atomically(path, lambda at: at.write_text("x"))
    assert path.read_text() == "x"
    assert os.listdir(path.parent) == [path.name]


def test_a_file_is_on_the_disk_before_it_takes_its_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    sync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        order.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        sync(handle)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", lambda *paths: (order.append("replace"), replace(*paths)))
    replace_atomically(tmp_path / "a", lambda at: at.write_text("x"))
    assert order == ["file", "replace", "folder"]


def test_what_safetensors_cannot_write_is_a_matter_of_the_disk(tmp_path: Path) -> None:
    def fail(at: Path) -> None:
        raise SafetensorError("no space")

    with pytest.raises(RunError, match="cannot write .*no space") as error:
        replace_atomically(tmp_path / "a", fail)
    assert "--out" in error.value.hint


def test_a_name_that_no_file_can_have_is_none(tmp_path: Path) -> None:
    assert not is_plain(tmp_path / "a\0b")
    assert not is_plain(tmp_path / "gone")
    assert not is_plain(tmp_path)


def test_lines_are_added_at_the_end(tmp_path: Path) -> None:
    for text in ("é\n", "b\n"):
        append_plain(tmp_path / "log", text)
    assert (tmp_path / "log").read_bytes() == "é\nb\n".encode()


def test_a_place_is_a_file_in_a_folder_that_is_there(tmp_path: Path) -> None:
    check_place(tmp_path / "a")
    for path, message, hint in ((tmp_path / "no" / "a", "there is no folder", "make it"), (tmp_path, "is a folder", "name a file")):
        with pytest.raises(ConfigError, match=message) as error:
            check_place(path)
        assert hint in error.value.hint
