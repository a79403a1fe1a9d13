"""The contributor's menu: `nox -l` lists it. Every session but `build` works in the environment that runs nox."""

from pathlib import Path

import nox

nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "types", "tests"]

_requirements = ["-r", "requirements.txt"]


def _install(session: nox.Session, *extra: str) -> None:
    """Install df3d, its plugins and what a session needs beside them."""
    if packages := [*_requirements, *extra]:
        session.run("python", "-m", "pip", "install", "-q", *packages)
    _requirements.clear()  # once is enough for all sessions of a call


@nox.session
def tests(session: nox.Session) -> None:
    """The whole suite, by two processes of one thread each; arguments after -- go to pytest."""
    _install(session, "pytest", "pytest-xdist", "hypothesis", "rtree", "usd-core", "viser", "nbclient", "ipykernel", "hatchling")
    session.run("python", "-m", "pytest", "-n", "2", "--dist", "loadfile", *session.posargs, env={"OMP_NUM_THREADS": "1"})


@nox.session
def lint(session: nox.Session) -> None:
    """ruff: rules and formatting."""
    session.run("python", "-m", "pip", "install", "-q", "ruff")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict on df3d and its plugins."""
    _install(session, "mypy")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Write docs/reference from the code."""
    _install(session)
    session.run("python", "docs/generate.py")


@nox.session(venv_backend="venv")
def build(session: nox.Session) -> None:
    """Wheels and source distributions of df3d and its plugins, into dist/."""
    session.install("build")
    for folder in (".", *sorted(str(path.parent) for path in Path("plugins").glob("*/pyproject.toml"))):
        session.run("python", "-m", "build", "-q", "--outdir", "dist", folder)
