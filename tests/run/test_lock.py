"""One process at a time in a run folder, with locks of the system and without."""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from pathlib import Path

import pytest

from df3d.errors import RunError
from df3d.run import lock
from df3d.run.lock import RunLock

fcntl = pytest.importorskip("fcntl")


@pytest.fixture(params=[None, *sorted({errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP})])
def system(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int | None:
    """A file system that has locks (None), or refuses them with one of the errors that there are."""
    if request.param is not None:

        def refuse(handle: int, operation: int) -> None:
            raise OSError(request.param, os.strerror(request.param))

        monkeypatch.setattr(fcntl, "flock", refuse)
        monkeypatch.setattr(lock, "PATIENCE", 0.5)
        monkeypatch.setattr(lock, "BEAT", 0.1)
    return request.param


def test_a_second_one_is_kept_out_until_the_first_lets_go(tmp_path: Path, system: int | None) -> None:
    first, second = RunLock(tmp_path), RunLock(tmp_path)
    first.acquire()
    assert bool(first.note) == (system is not None)
    with pytest.raises(RunError, match="in use by another df3d"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
    assert not (tmp_path / ".lease").exists()


@pytest.mark.parametrize("host", ["node01", socket.gethostname()])
def test_one_that_was_killed_lets_go(tmp_path: Path, system: int | None, host: str) -> None:
    """On another machine its number stands still; on this one its process is gone."""
    gone = 2**22 + 1  # more than a system gives
    (tmp_path / ".lease").write_text(json.dumps({"host": host, "process": gone, "token": "x", "number": 7}))
    mine = RunLock(tmp_path)
    mine.acquire()
    mine.release()


def test_one_that_works_on_another_machine_is_left_alone(tmp_path: Path, system: int | None) -> None:
    if system is None:
        pytest.skip("the system knows")
    other = lock._Lease(tmp_path / ".lease")
    other._own["host"] = "node01"
    other.acquire()
    with pytest.raises(RunError, match="in use by another df3d, on node01"):
        RunLock(tmp_path).acquire()
    other.release()


def test_a_lock_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "private").write_text("secret")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / ".lock").symlink_to(tmp_path / "private")
    with pytest.raises(OSError, match="not a regular file"):
        RunLock(tmp_path / "run").acquire()
    assert (tmp_path / "private").read_text() == "secret"


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system of a network, whose locks work, on this machine alone."""
    monkeypatch.setattr(lock, "on_network", lambda path: True)
    monkeypatch.setattr(lock, "PATIENCE", 0.5)
    monkeypatch.setattr(lock, "BEAT", 0.1)


def test_a_lock_of_this_machine_alone_does_not_let_another_machine_in(tmp_path: Path, network: None) -> None:
    other = lock._Lease(tmp_path / ".lease")
    other._own["host"] = "node01"
    other.acquire()
    mine = RunLock(tmp_path)
    with pytest.raises(RunError, match="in use by another df3d, on node01"):
        mine.acquire()
    other._end.set()  # its process is killed: the lease stays, and its number stands still
    mine.acquire()
    assert json.loads((tmp_path / ".lease").read_text())["host"] == socket.gethostname()
    mine.release()
    assert not (tmp_path / ".lease").exists()
    assert mine.note == ""


def test_on_this_machine_the_lock_is_believed(tmp_path: Path, network: None) -> None:
    """A process that has the number of one that was killed keeps nobody out."""
    own = {"host": socket.gethostname(), "process": os.getpid(), "token": "x", "number": 7}
    (tmp_path / ".lease").write_text(json.dumps(own))
    mine = RunLock(tmp_path)
    mine.acquire()
    mine.release()


@pytest.mark.parametrize(
    ("kind", "expected"),
    [("nfs4", True), ("lustre", True), ("fuse.sshfs", True), ("cifs", True), ("ext4", False), ("tmpfs", False)],
)
def test_file_systems_of_a_network_are_told_by_their_kind(kind: str, expected: bool, tmp_path: Path) -> None:
    mounts, place = tmp_path / "mounts", tmp_path / "a b" / "runs"
    place.mkdir(parents=True)
    name = str(tmp_path / "a b").replace(" ", "\\040")
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/x {name} {kind} rw 0 0\nserver:/y /elsewhere nfs rw 0 0\n")
    assert lock.on_network(place, mounts) is expected
    assert lock.on_network(tmp_path, mounts) is False
    assert lock.on_network(place, tmp_path / "gone") is False


def test_a_lease_beats_as_long_as_it_is_held(tmp_path: Path, network: None) -> None:
    """Each number is another one: a number that stays is how others know that its holder is gone."""
    mine = RunLock(tmp_path)
    mine.acquire()
    seen: set[int] = set()
    until = time.monotonic() + 20
    while len(seen) < 4 and time.monotonic() < until:
        seen.add(json.loads((tmp_path / ".lease").read_text())["number"])
        time.sleep(0.02)
    mine.release()
    assert len(seen) == 4


def test_a_holder_has_several_beats_before_its_lease_is_taken() -> None:
    assert lock.BEAT == 5.0
    assert lock.PATIENCE == 30.0


def test_a_mount_is_found_for_its_own_folder_and_the_nearest_counts(tmp_path: Path) -> None:
    (tmp_path / "net" / "local").mkdir(parents=True)
    mounts = tmp_path / "mounts"
    mounts.write_text(f"a / ext4 rw 0 0\nb {tmp_path / 'net'} fuse.x rw 0 0\nc {tmp_path / 'net' / 'local'} xfs rw 0 0\nodd\n")
    assert lock.on_network(tmp_path / "net", mounts) is True
    assert lock.on_network(tmp_path / "net" / "local", mounts) is False
    assert lock.on_network(tmp_path / "net" / "deeper" / "still", mounts) is True


def test_a_process_of_somebody_else_is_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(process: int, number: int) -> None:
        raise PermissionError

    lease = lock._Lease(tmp_path / ".lease")
    held: dict[str, object] = {"host": socket.gethostname(), "process": 4711, "token": "x", "number": 7}
    monkeypatch.setattr(os, "kill", refused)
    assert lease._is_alive(held)


def test_of_two_that_take_a_lease_at_once_one_gives_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine, other = lock._Lease(tmp_path / ".lease"), lock._Lease(tmp_path / ".lease")
    monkeypatch.setattr(lock.time, "sleep", lambda seconds: other._write(0))
    with pytest.raises(RunError, match="in use by another df3d") as error:
        mine.acquire()
    assert "--out" in error.value.hint


def test_a_lock_that_fails_for_another_reason_is_one_that_works(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def held(handle: int, operation: int) -> None:
        raise OSError(errno.EWOULDBLOCK, "held")

    monkeypatch.setattr(fcntl, "flock", held)
    assert lock._locks_work(tmp_path / ".lock")
