"""One process at a time in a run folder: a lock of the system, and on a network's file system a lease as well.

Lustre without `flock`, NFS without a lock daemon and some network drives refuse locks, and others keep them to one machine. There
the holder writes a new number into `.lease` every few seconds. One whose process has ended on this machine, or whose number stands
still for `PATIENCE`, has let go. On a local disk the system lets go for it, at once.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import socket
import threading
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

from df3d.errors import InUseError
from df3d.system.files import is_plain, read_plain

NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP)
NETWORK = ("nfs", "cifs", "smb", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "afs", "9p", "virtiofs", "fuse")
BEAT = 5.0  # seconds between two numbers
PATIENCE = 30.0  # seconds that a number may stand still


class RunLock:
    """Of the folder `path`. `note` says what is unusual, once it is held."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = FileLock(path / ".lock")
        self._lease: _Lease | None = None
        self.note = ""

    def acquire(self) -> None:
        """Raises InUseError when another process holds it, and OSError when nothing can be written there."""
        if os.path.lexists(self._path / ".lock") and not is_plain(self._path / ".lock"):
            raise OSError(errno.EINVAL, "its .lock is not a regular file")
        locks = _locks_work(self._path / ".lock")
        if locks:
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                raise InUseError(
                    f"`{self._path}` is in use by another df3d", "wait for it, or choose another folder with --out"
                ) from None
            if not on_network(self._path):
                return
        else:
            self.note = f"the file system of {self._path} has no locks: a lease in its place keeps others out"
        self._lease = _Lease(self._path / ".lease", alone_here=locks)
        try:
            self._lease.acquire()
        except BaseException:
            self._lease = None
            self.release()
            raise

    def release(self) -> None:
        if self._lease:
            self._lease.release()
            self._lease = None
        self._lock.release()


def on_network(path: Path, mounts: Path = Path("/proc/self/mounts")) -> bool:
    """Whether a folder lies on a file system of a network, whose locks may hold on one machine alone; False where nobody says."""
    try:
        lines = [line.split() for line in mounts.read_text(encoding="utf-8", errors="replace").splitlines()]
        place = path.resolve()
    except OSError:
        return False
    kinds = {Path(words[1].replace("\\040", " ")): words[2] for words in lines if len(words) > 2}
    mount = next((parent for parent in (place, *place.parents) if parent in kinds), None)
    return mount is not None and kinds[mount].startswith(NETWORK)


def _locks_work(path: Path) -> bool:
    """Whether the system locks files there; a lock that another holds is one that works."""
    try:
        import fcntl
    except ImportError:  # Windows locks everywhere
        return True
    handle = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in NO_LOCKS
    else:
        fcntl.flock(handle, fcntl.LOCK_UN)
        return True
    finally:
        os.close(handle)


class _Lease:
    """`alone_here`: a lock says that no other process of this machine is there."""

    def __init__(self, path: Path, *, alone_here: bool = False) -> None:
        self._path, self._alone_here = path, alone_here
        self._own = {"host": socket.gethostname(), "process": os.getpid(), "token": secrets.token_hex(8)}
        self._end = threading.Event()

    def acquire(self) -> None:
        held = self._read()
        if held is not None and self._is_alive(held):
            host = str(held.get("host", "another machine"))[:80]
            raise InUseError(
                f"`{self._path.parent}` is in use by another df3d, on {host}", "wait for it, or choose another folder with --out"
            )
        self._write(0)
        time.sleep(0.2)
        if (self._read() or {}).get("token") != self._own["token"]:  # another has taken it at the same moment
            raise InUseError(f"`{self._path.parent}` is in use by another df3d", "wait for it, or choose another folder with --out")
        threading.Thread(target=self._beat, daemon=True).start()

    def release(self) -> None:
        self._end.set()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _is_alive(self, held: dict[str, object]) -> bool:
        """Whether its process runs, where that can be told; or else whether its number changes while one watches."""
        if held.get("host") == self._own["host"] and self._alone_here:
            return False
        if held.get("host") == self._own["host"] and isinstance(held.get("process"), int):
            try:
                os.kill(int(str(held["process"])), 0)
            except ProcessLookupError:
                return False
            except OSError:
                return True
            return True
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            time.sleep(BEAT / 5)
            if self._read() != held:
                return True
        return False

    def _beat(self) -> None:
        number = 0
        while not self._end.wait(BEAT):
            number += 1
            with suppress(OSError):
                self._write(number)

    def _read(self) -> dict[str, object] | None:
        try:
            found = json.loads(read_plain(self._path, 10_000))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError):
            return {}
        return found if isinstance(found, dict) else {}

    def _write(self, number: int) -> None:
        temporary = self._path.with_name(f".lease.{self._own['token']}.tmp")
        temporary.write_text(json.dumps({**self._own, "number": number}), encoding="utf-8")
        os.replace(temporary, self._path)
