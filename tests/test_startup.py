"""What is imported before there is anything to compute."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("torch", "numpy", "diffusers", "transformers", "numba", "scipy", "trimesh")


@pytest.mark.parametrize(
    "command",
    [
        ["--help"],
        ["generate", "--help"],
        ["plugins"],
        ["plugins", "show", "hashgrid"],
        ["recipes", "show", "toybox"],
        ["generate", "a flurb"],
        ["generate", "a red car", "--recipe", "toybx"],
        ["generate", "a red car", "--set", "field.levles=3"],
    ],
)
def test_a_light_command_imports_nothing_heavy(command: list[str]) -> None:
    code = (
        "import sys\nfrom df3d.cli import main\ntry:\n    main()\nexcept SystemExit:\n    pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code, *command], capture_output=True, text=True, timeout=120)
    assert done.stderr.splitlines()[-1] == "[]"


def test_the_public_names_are_the_listed_ones() -> None:
    import df3d

    assert df3d.__all__ == sorted(df3d.__all__)
    assert all(hasattr(df3d, name) for name in df3d.__all__)
