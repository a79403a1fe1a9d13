"""The command line, for tests: how to run it, and settings with which a whole run takes seconds."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from df3d.cli import main

Cli = Callable[..., subprocess.CompletedProcess[str]]

TINY = [
    "--steps=6",
    *("--set=cameras.views=2", "--set=cameras.size=32", "--set=field.levels=4", "--set=field.log2_table=12"),
    *("--set=renderer.samples=24", "--set=renderer.occupancy=16", "--set=save_every=2", "--set=preview_every=3"),
    *("--set=field.resolution=12", "--set=field.fit_steps=3"),
    *("--set=export.resolution=32", "--set=export.texture_size=64", "--set=export.faces=300", "--set=export.turntable=32"),
]

# Importing torch and diffusers takes longer than most of what the tests run: a server imports them once, and commands are
# forks of it, where the system can fork.
_SERVER = multiprocessing.get_context("forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn")
_SERVER.set_forkserver_preload(
    ["df3d_toybox.guidance", "df3d_diffusion.pixel", "df3d_hashgrid.renderer", "df3d_nvdiffrast.renderer", "df3d_mesh.writing.glb"]
)


def df3d(*arguments: str, where: Path = Path(), site: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run `df3d` as a person does, in the folder `where`; with an environment of its own, in an interpreter of its own.

    `site` is a folder of installed packages that comes first on the path.
    """
    env = {**os.environ, "COLUMNS": "200", **({"PYTHONPATH": str(site)} if site else {}), **environment}
    if environment:
        command = [sys.executable, "-m", "df3d", *arguments]
        return subprocess.run(command, cwd=where, env=env, capture_output=True, text=True, timeout=600)
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder, "stdout"), Path(folder, "stderr")
        process = _SERVER.Process(target=_command, args=(arguments, where, site, env, output))
        process.start()
        process.join(600)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(arguments, 600)
        return subprocess.CompletedProcess(arguments, process.exitcode, *(path.read_text() for path in output))


def pip_install(folder: Path, *sources: Path | str) -> None:
    """Install packages into a folder, with the build tools that are here where they are: an environment for each takes seconds."""
    here = ["--no-build-isolation"] if find_spec("hatchling") else []
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", *here, "--target", str(folder), *map(str, sources)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


def _command(arguments: tuple[str, ...], where: Path, site: Path | None, env: dict[str, str], output: tuple[Path, Path]) -> None:
    for stream, path in enumerate(output, start=1):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT), stream)
    os.chdir(where)
    if site is not None:
        sys.path.insert(0, str(site))
    os.environ.clear()
    os.environ.update(env)
    sys.argv = ["df3d", *arguments]
    main()
