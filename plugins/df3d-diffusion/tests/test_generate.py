"""Whole runs of the diffusion recipes on small random-weight models: real loaders, real loop, a GLB at the end."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command import TINY, df3d
from pipelines import write_taesd

from df3d.system.tensors import read_tensors

SMALL = [setting for setting in TINY if "steps" not in setting and "field.resolution" not in setting]


@pytest.mark.parametrize(
    ("recipe", "family"),
    [
        ("dreamfusion", "stable_diffusion"),
        ("dreamfusion", "stable_diffusion_xl"),
        ("dreamfusion-if", "deepfloyd"),
        ("fast", "stable_diffusion"),
        ("magic3d", "stable_diffusion"),
    ],
)
def test_a_recipe_makes_a_glb(recipe: str, family: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(family)
    extra = [f"--set=guidance.vae={write_taesd(tmp_path / 'taesd')}"] if recipe == "fast" else []
    extra += ["--set=field.resolution=12", "--set=field.fit_steps=3"] if recipe == "magic3d" else []
    done = df3d(
        "generate", "a red car", "--recipe", recipe, f"--set=guidance.model={model}", "--steps=5", *SMALL, *extra, where=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / done.stdout.strip()).read_bytes()[:4] == b"glTF"


def test_a_multi_view_stage_and_a_single_view_one_make_a_glb(mvdream: Path, stable_diffusion: Path, tmp_path: Path) -> None:
    done = df3d(
        "generate", "a red car", "--recipe=mvdream", f"--set=coarse.guidance.model={mvdream}", "--steps=3",
        f"--set=fine.guidance.model={stable_diffusion}", *[s for s in SMALL if "views" not in s], "--set=field.resolution=12",
        "--set=field.fit_steps=3", where=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / done.stdout.strip()).read_bytes()[:4] == b"glTF"


def test_variational_distillation_resumes_with_its_student(stable_diffusion: Path, tmp_path: Path) -> None:
    """Six steps in one go and in two sittings end in the same field and the same student."""

    run = ["generate", "a red car", "--recipe=dreamfusion", f"--set=guidance.model={stable_diffusion}", "--steps=6", *SMALL,
           "--set=guidance.objective=vsd", "--set=guidance.dtype=float32"]  # fmt: skip
    done = df3d(*run, "--out=whole", where=tmp_path)
    assert done.returncode == 0, done.stderr
    whole = read_tensors(tmp_path / "whole" / "coarse" / "step-000006.safetensors")[0]
    assert any(name.startswith("guidance.") for name in whole)
    done = df3d(*run, "--out=broken", where=tmp_path)
    assert done.returncode == 0, done.stderr
    (tmp_path / "broken" / "coarse" / "step-000006.safetensors").unlink()
    manifest = json.loads((tmp_path / "broken" / "run.json").read_text())
    (tmp_path / "broken" / "run.json").write_text(json.dumps({**manifest, "status": "running"}))
    assert df3d(*run, "--out=broken", where=tmp_path).returncode == 0
    resumed = read_tensors(tmp_path / "broken" / "coarse" / "step-000006.safetensors")[0]
    assert whole.keys() == resumed.keys()
    assert all((whole[name] == resumed[name]).all() for name in whole)


def test_without_the_weights_a_run_says_where_they_are(tmp_path: Path) -> None:
    done = df3d("generate", "a red car", "--recipe=dreamfusion", where=tmp_path, HF_HOME=str(tmp_path / "hub"), HF_HUB_OFFLINE="1")
    assert done.returncode == 1
    error, hint = done.stderr.strip().splitlines()[-2:]
    assert error.startswith("error: model `sd21` is not on this machine (2.6 GB")
    assert hint == "hint: fetch it with: df3d models pull sd21; or run now with what is here: --recipe toybox"
