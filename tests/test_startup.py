"""What is imported before there is anything to compute."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import trimesh

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


@pytest.mark.parametrize("format", ["glb", "obj", "ply", "stl"])
def test_a_mesh_is_read_without_torch(tmp_path: Path, format: str) -> None:
    trimesh.creation.box().export(tmp_path / f"box.{format}")
    code = f"import sys, df3d; df3d.load('box.{format}'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=tmp_path, timeout=120, check=False).returncode == 0


def test_the_public_names_are_the_listed_ones() -> None:
    import df3d

    assert df3d.__all__ == sorted(df3d.__all__)
    assert all(hasattr(df3d, name) for name in df3d.__all__)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [({}, "20000"), ({"GOMP_SPINCOUNT": "7"}, "7"), ({"OMP_WAIT_POLICY": "active"}, "None")],
)
def test_idle_threads_of_torch_soon_rest_unless_the_user_has_said_how(environment: dict[str, str], expected: str) -> None:
    given = {key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    code = "import os, df3d; print(os.environ.get('GOMP_SPINCOUNT'))"
    done = subprocess.run([sys.executable, "-c", code], env={**given, **environment}, capture_output=True, text=True, timeout=120)
    assert done.stdout == f"{expected}\n", done.stderr
