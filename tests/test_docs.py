"""The documentation against the code."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from df3d.plugin import hookspecs

ROOT = Path(__file__).parents[1]
PAGES = sorted(path for path in ROOT.rglob("*.md") if not {".venv", ".nox", "node_modules"} & set(path.parts))


def test_the_reference_is_what_the_code_says() -> None:
    done = subprocess.run([sys.executable, "docs/generate.py", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_the_tables_of_figures_are_those_of_their_scores() -> None:
    page = ROOT / "docs" / "explanation" / "figures.md"
    code = "import pathlib, sys, toybox; print(toybox.with_tables(pathlib.Path(sys.argv[1])), end='')"
    done = subprocess.run(
        [sys.executable, "-c", code, str(page)], cwd=ROOT / "benchmarks", capture_output=True, text=True, timeout=300
    )
    assert done.stdout == page.read_text(), done.stderr


def test_the_table_of_objectives_is_that_of_its_scores() -> None:
    page = ROOT / "docs" / "explanation" / "objectives.md"
    code = "import pathlib, sys, objectives as o; print(o.table(o.read(pathlib.Path(sys.argv[1]))), end='')"
    done = subprocess.run(
        [sys.executable, "-c", code, str(page.with_suffix(".csv"))],
        cwd=ROOT / "benchmarks",
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.stdout
    assert done.stdout in page.read_text(), done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text()):
        if not target.startswith("http"):
            assert (page.parent / target).exists(), f"{page}: {target}"


def test_the_readmes_commands_are_commands() -> None:
    text = (ROOT / "README.md").read_text()
    assert 'python -m pip install -r requirements.txt && df3d generate "a peacock on a surfboard"' in text
    assert "python -m pip install nox && nox -s tests" in text
    known = set(re.findall(r"^## df3d (\w+)", (ROOT / "docs/reference/cli.md").read_text(), re.MULTILINE))
    assert set(re.findall(r"^(?:ASSET=\$\()?df3d (\w+)", text, re.MULTILINE)) <= known


def test_every_hook_says_what_it_is_for() -> None:
    hooks = [getattr(hookspecs, name) for name in dir(hookspecs) if name.startswith("df3d_")]
    assert len(hooks) >= 9
    assert all(hook.__doc__ for hook in hooks)
