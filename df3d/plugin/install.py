"""`df3d plugins install`: pip, or uv where there is no pip, under constraints that hold what df3d runs on where it is."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distributions, version
from pathlib import Path

from df3d.errors import PluginError

HELD = ("torch", "torchvision", "numpy", "diffusers", "transformers", "df3d")


def preview(specs: Sequence[str], *, upgrade: bool = False) -> list[str]:
    """What an installation would change, a line a package; nothing is changed.

    Raises PluginError when a spec does not resolve, or only with another version of what is held.
    """
    with _constraints() as held:
        if not _has_pip():
            done = _run([*_installer(), "install", "--dry-run", *_options(specs, held, upgrade)])
            _check(done, specs)
            return [line.strip() for line in done.stderr.splitlines() if line.strip().startswith(("+", "-", "~"))]
        report = held.with_name("report.json")
        done = _run([*_installer(), "install", "--dry-run", "--report", str(report), *_options(specs, held, upgrade)])
        _check(done, specs)
        items = json.loads(report.read_text(encoding="utf-8"))["install"]
    return [_change(item["metadata"]["name"], item["metadata"]["version"]) for item in items]


def install(specs: Sequence[str], *, upgrade: bool = False) -> None:
    """Install, with what is held where it is.

    Raises PluginError as `preview` does.
    """
    with _constraints() as held:
        _check(_run([*_installer(), "install", *_options(specs, held, upgrade)]), specs)


def uninstall(names: Sequence[str]) -> None:
    """Remove distributions that offer plugins.

    Raises PluginError for one that is not there, or offers none.
    """
    offering = {_plain(d.name) for d in distributions() if any(entry.group == "df3d" for entry in d.entry_points)}
    for name in names:
        if _plain(name) not in offering - {"df3d"}:
            known = ", ".join(sorted(offering - {"df3d"}))
            raise PluginError(f"no installed plugin is called `{name}`", f"installed are {known or 'none'}")
    yes = ["--yes"] if _has_pip() else []
    _check(_run([*_installer(), "uninstall", *yes, *names]), names)


@contextmanager
def _constraints() -> Iterator[Path]:
    """A file that freezes what is held."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "constraints.txt"
        path.write_text("".join(f"{name}=={found}\n" for name in HELD if (found := _version(name))), encoding="utf-8")
        yield path


def _has_pip() -> bool:
    return importlib.util.find_spec("pip") is not None


def _installer() -> list[str]:
    if _has_pip():
        return [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    if uv := shutil.which("uv"):
        return [uv, "pip"]
    raise PluginError("there is neither pip nor uv", "python -m ensurepip")


def _options(specs: Sequence[str], held: Path, upgrade: bool) -> list[str]:
    return ["--constraint", str(held), *(["--upgrade"] if upgrade else []), *specs]


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _check(done: subprocess.CompletedProcess[str], specs: Sequence[str]) -> None:
    if done.returncode == 0:
        return
    text = done.stderr + done.stdout
    asked = ", ".join(f"`{spec}`" for spec in specs)
    if conflict := next((name for name in HELD if re.search(rf"(?i)constraint.*\b{name}\b", text)), None):
        raise PluginError(
            f"{asked} cannot be installed: it wants another {conflict} than {_version(conflict)}, which is here",
            f"install it in an environment of its own, or change {conflict} yourself first",
        )
    lines = [line for line in text.splitlines() if "error" in line.lower()] or text.strip().splitlines() or ["no reason given"]
    reason = re.sub(r"(?i)^\W*error:?\s*", "", lines[0]).strip()
    raise PluginError(f"{asked} cannot be installed: {reason}", "check the name, the version and the network")


def _change(name: str, new: str) -> str:
    old = _version(name)
    return f"{name} {new}" + (f" (now {old})" if old else "")


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _plain(name: str) -> str:
    """Names that mean one distribution, in one spelling (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
