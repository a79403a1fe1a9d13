"""The command line, for tests: how to run it, and settings with which a whole run takes seconds."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

from df3d.batches.launchers import local
from df3d.cli import main

Cli = Callable[..., subprocess.CompletedProcess[str]]

TINY = [
    "--steps=6",
    *("--set=cameras.views=2", "--set=cameras.size=32", "--set=field.levels=4", "--set=field.log2_table=12"),
    *("--set=renderer.samples=24", "--set=renderer.occupancy=16", "--set=save_every=2", "--set=preview_every=3"),
    *("--set=field.resolution=12", "--set=field.fit_steps=3"),
    *("--set=export.resolution=32", "--set=export.texture_size=64", "--set=export.faces=300", "--set=export.turntable=32"),
]
SETTINGS = [argument.removeprefix("--set=") for argument in TINY if argument.startswith("--set=")]

# Importing torch and diffusers takes longer than most of what the tests run: a server imports them once, and commands are
# forks of it, where the system can fork.
_SERVER = multiprocessing.get_context("forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn")
_SERVER.set_forkserver_preload(
    [
        *("df3d_toybox.guidance", "df3d_diffusion.pixel", "df3d_hashgrid.renderer", "df3d_nvdiffrast.field"),
        *("df3d_mesh.writing.glb", "diffusers.schedulers", "diffusers.models.unets.unet_2d_condition"),
        *("transformers.models.clip.modeling_clip", "skimage.measure"),
    ]
)


def df3d(*arguments: str, where: Path = Path(), site: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `df3d` as a person does, in the folder `where`; with an environment of its own, in an interpreter of its own.

    `site` is a folder of installed packages that comes first on the path.
    """
    env = {**os.environ, "COLUMNS": "200", **({"PYTHONPATH": str(site)} if site else {}), **environment}
    if environment:
        command = [sys.executable, "-m", "df3d", *arguments]
        return subprocess.run(command, cwd=where, env=env, capture_output=True, text=True, timeout=600)
    return Command(*arguments, where=where, site=site).finish(600)


class Command:
    """`df3d` at work, to be looked at, signalled and killed meanwhile."""

    def __init__(
        self, *arguments: str, where: Path, site: Path | None = None, before: Callable[[], object] | None = None, **environment: str
    ) -> None:
        """`before` is called in the new process, before the command begins."""
        self._arguments = arguments
        self._folder = tempfile.TemporaryDirectory()
        self._output = Path(self._folder.name, "stdout"), Path(self._folder.name, "stderr")
        env = {**os.environ, "COLUMNS": "200", **({"PYTHONPATH": str(site)} if site else {}), **environment}
        self._process = _SERVER.Process(target=_command, args=(arguments, where, site, env, self._output, before))
        self._process.start()

    def is_alive(self) -> bool:
        return self._process.is_alive()

    def signal(self, number: int) -> None:
        assert self._process.pid
        os.kill(self._process.pid, number)

    def finish(self, timeout: float) -> subprocess.CompletedProcess[str]:
        """What it said, once it has ended.

        Raises TimeoutExpired when it takes longer, and ends it.
        """
        self._process.join(timeout)
        if self._process.exitcode is None:
            self._process.kill()
            raise subprocess.TimeoutExpired(self._arguments, timeout)
        with self._folder:
            return subprocess.CompletedProcess(
                self._arguments, self._process.exitcode, *(path.read_text() if path.exists() else "" for path in self._output)
            )


def pip_install(folder: Path, *sources: Path | str) -> None:
    """Install packages into a folder, with the build tools that are here where they are: an environment for each takes seconds."""
    here = ["--no-build-isolation"] if find_spec("hatchling") else []
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", *here, "--target", str(folder), *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def _command(
    arguments: tuple[str, ...],
    where: Path,
    site: Path | None,
    env: dict[str, str],
    output: tuple[Path, Path],
    before: Callable[[], object] | None,
) -> None:
    for stream, path in enumerate(output, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
    os.chdir(where)
    if site is not None:
        sys.path.insert(0, str(site))
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["df3d", *arguments]
    local.subprocess = SimpleNamespace(Popen=_Fork, DEVNULL=subprocess.DEVNULL)  # type: ignore[assignment]  # workers, likewise
    signal.signal(signal.SIGINT, signal.default_int_handler)  # as at a terminal: a shell lets what it puts aside ignore Ctrl-C
    if before is not None:
        before()
    main()


class _Fork:
    """A command of df3d as a fork of this process: what `subprocess.Popen` is to the local launcher."""

    def __init__(self, command: Sequence[str], *, env: dict[str, str], **how: object) -> None:
        self._code: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.environ.clear()
            os.environ.update(env)
            sys.argv = list(command[2:])
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                signal.signal(number, signal.SIG_DFL if number != signal.SIGINT else signal.default_int_handler)
            code = 1
            try:
                main()
            except SystemExit as error:
                code = error.code if isinstance(error.code, int) else int(error.code is not None)
            finally:
                sys.stderr.flush()
                os._exit(code)

    def poll(self) -> int | None:
        if self._code is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def terminate(self) -> None:
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)
