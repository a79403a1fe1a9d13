"""The contributor's menu: `nox -l` lists it. Every session but `build` works in the environment that runs nox."""

import shutil
import tempfile
import tomllib
from importlib.util import find_spec
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
    beside = ("hypothesis", "rtree", "usd-core", "DracoPy", "viser", "nbclient", "ipykernel", "hatchling", "ray>=2.40")
    _install(session, "pytest", "pytest-xdist", *beside)
    for what, found in _outside().items():
        if not found:
            session.warn(f"not here: {what}; their tests are left out")
    session.run("python", "-m", "pytest", "-n", "2", "--dist", "loadfile", *session.posargs, env={"OMP_NUM_THREADS": "1"})


@nox.session
def faults(session: nox.Session) -> None:
    """Kill, starve and cut real runs and batches, for some twenty minutes; a table of what came of it stands at the end."""
    _install(session, "pytest", "ray>=2.40")
    session.run("python", "-m", "pytest", "-m", "faults", "tests/faults", *session.posargs, env={"OMP_NUM_THREADS": "1"})


def _outside() -> dict[str, bool]:
    """What tests use that pip does not install, and whether it is here."""
    browser = any(map(shutil.which, ("chromium", "chromium-browser", "google-chrome")))
    return {
        "Chromium and npm, with which three.js and <model-viewer> draw our files": browser and bool(shutil.which("npm")),
        "Blender's package, bpy, which imports our files": bool(find_spec("bpy")),
        "strace, which shows what a power cut would leave": bool(shutil.which("strace")),
        "a C compiler, which Triton needs": any(map(shutil.which, ("cc", "gcc", "clang"))),
    }


@nox.session
def lint(session: nox.Session) -> None:
    """ruff: rules, those of security among them, and formatting; and no dependency's floor has a known hole."""
    session.run("python", "-m", "pip", "install", "-q", "ruff", "pip-audit")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    with tempfile.TemporaryDirectory() as folder:
        floors = Path(folder, "floors.txt")
        floors.write_text("".join(f"{name}=={version}\n" for name, version in sorted(_floors().items())))
        session.run("pip-audit", "--progress-spinner", "off", "--no-deps", "--disable-pip", "-r", str(floors))


def _floors() -> dict[str, str]:
    """The oldest version that each dependency may have. torch is left out: its floor is the oldest that runs here, for people
    whose driver takes no newer one, and df3d lets it unpickle nothing."""
    found: dict[str, str] = {}
    for file in (Path("pyproject.toml"), *Path("plugins").glob("*/pyproject.toml")):
        for line in tomllib.loads(file.read_text())["project"]["dependencies"]:
            name, _, version = line.partition(">=")
            if not name.startswith("df3d") and name != "torch":
                found[name] = version.split(",")[0] + ".0" * (2 - version.count("."))
    return found


@nox.session
def types(session: nox.Session) -> None:
    """mypy, strict on df3d and its plugins."""
    _install(session, "mypy")
    session.run("mypy")


@nox.session
def mutants(session: nox.Session) -> None:
    """Make small mistakes, one at a time: some test has to fail for each. Arguments after -- go to tests/mutants.py."""
    _install(session, "pytest", "hypothesis")
    session.run("python", "tests/mutants.py", *session.posargs)


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
