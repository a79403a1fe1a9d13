"""Whole runs, small: what they leave, that they resume bit for bit, and that a stranger's plugin can take part."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from command import TINY, Cli, pip_install

from df3d.system.tensors import read_tensors


def field_of(run: Path) -> dict[str, torch.Tensor]:
    return read_tensors(sorted((run / "coarse").glob("step-*.safetensors"))[-1])[0]


def same(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_a_run_leaves_what_it_promises(cli: Cli, tmp_path: Path) -> None:
    done = cli("generate", "a red car", *TINY)
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs" / "a-red-car"
    assert done.stdout == "runs/a-red-car/asset.glb\n"
    names = {str(path.relative_to(run)) for path in run.rglob("*") if path.is_file()}
    assert {"asset.glb", "run.toml", "run.json", "events.jsonl", "turntable.webp", "sheet.png"} <= names
    assert {"coarse/preview-000003.png", "coarse/preview-000006.png", "coarse/step-000006.safetensors"} <= names
    manifest = json.loads((run / "run.json").read_text())
    assert manifest["prompt"] == "a red car"
    assert manifest["status"] == "finished"
    assert "note: recipe `toybox`" in done.stderr
    assert "coarse 6/6" in done.stderr

    again = cli("generate", "a red car", *TINY, "--json")
    events = [json.loads(line) for line in again.stdout.splitlines()]
    assert [event["event"] for event in events][-1] == "RunFinished"
    assert not [event for event in events if event["event"] == "Stepped"]  # nothing was left to do
    repeated = cli("generate", "a red car", "--recipe", "runs/a-red-car/run.toml", "--out", "again", "--quiet")
    assert repeated.returncode == 0, repeated.stderr
    assert same(field_of(run), field_of(tmp_path / "again"))


def test_a_run_pauses_after_a_stage_and_the_same_command_goes_on(cli: Cli, finished: Path, tmp_path: Path) -> None:
    command = ("generate", "a red car", *TINY, "--out", "paused")
    done = cli(*command, "--until", "coarse")
    assert (done.returncode, done.stdout) == (0, "paused\n"), done.stderr
    assert "paused after stage coarse" in done.stderr
    assert not (tmp_path / "paused" / "fine").exists()
    exported = cli("export", "paused", "--out", "coarse.glb", "--quiet")
    assert exported.stdout == "coarse.glb\n", exported.stderr
    done = cli(*command)
    assert done.stdout == "paused/asset.glb\n", done.stderr
    assert "stage coarse: 6 steps, going on from 6" in done.stderr
    last = [read_tensors(run / "fine" / "step-000006.safetensors")[0] for run in (tmp_path / "paused", finished)]
    assert same(*last)
    earlier = cli("export", "paused", "--stage", "coarse", "--out", "again.glb", "--quiet")
    assert earlier.returncode == 0, earlier.stderr
    assert (tmp_path / "again.glb").stat().st_size == (tmp_path / "coarse.glb").stat().st_size


def test_the_best_of_several_seeds_is_named(cli: Cli, tmp_path: Path) -> None:
    """A seed that fails, here for a folder that is somebody's, does not stop the others."""
    (tmp_path / "many" / "seed6").mkdir(parents=True)
    (tmp_path / "many" / "seed6" / "theirs.txt").touch()
    command = ("generate", "a red car", *TINY, "--steps=2", "--seed", "4", "--seeds", "3", "--out", "many")
    done = cli(*command, "--best-by", "toybox.color_error")
    assert done.returncode == 0, done.stderr
    assert "error: seed 6: `many/seed6` holds files that are not a run" in done.stderr
    scores = {
        seed: json.loads((tmp_path / "many" / f"seed{seed}" / "scores.json").read_text())["scores"]["toybox.color_error"]
        for seed in (4, 5)
    }
    best = min(scores, key=lambda seed: scores[seed])
    assert done.stdout == f"many/seed{best}/asset.glb\n"
    again = cli(*command, "--quiet")
    assert (again.returncode, again.stdout) == (1, "many/seed4/asset.glb\nmany/seed5/asset.glb\n")


def test_prompts_come_from_a_file_too(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "prompt.txt").write_text("a red\ncar\n")
    done = cli("generate", "--prompt-file", "prompt.txt", "--quiet", *TINY, "--steps=1")
    assert done.stdout == "runs/a-red-car/asset.glb\n", done.stderr
    missing = cli("generate", "--prompt-file", "nowhere.txt")
    assert missing.returncode == 1
    assert "the prompt cannot be read from `nowhere.txt`" in missing.stderr


def test_prompts_come_from_standard_input_too(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "df3d", "generate", "--prompt-file", "-", "--quiet", "--steps", "1", *TINY[1:]],
        input="a red\n car\n", cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.stdout == "runs/a-red-car/asset.glb\n", done.stderr


@pytest.mark.parametrize("moment", ["coarse 2/", "coarse 4/"])
def test_a_run_killed_at_any_step_ends_as_an_unbroken_one(cli: Cli, finished: Path, tmp_path: Path, moment: str) -> None:
    """SIGKILL as soon as a given step is reported; the unbroken and the resumed field are equal bit for bit."""
    command = ["generate", "a red car", *TINY]
    code = "from df3d.run import stage; stage.REPORT_EVERY = 1; from df3d.cli import main; main()"
    process = subprocess.Popen(
        [sys.executable, "-c", code, *command, "--out", "broken", "--json"], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    wanted = int(moment.split()[1].rstrip("/"))
    for line in process.stdout:
        event = json.loads(line)
        if event["event"] == "Stepped" and event["step"] >= wanted:
            assert event["step"] == wanted
            process.send_signal(signal.SIGKILL)
            break
    process.wait()
    assert not (tmp_path / "broken" / "asset.glb").exists()
    resumed = cli(*command, "--out", "broken", "--json")
    assert resumed.returncode == 0, resumed.stderr
    begun = [json.loads(line) for line in resumed.stdout.splitlines() if '"StageStarted"' in line]
    assert begun[0]["stage"] == "coarse"
    assert begun[0]["step"] >= wanted - 2  # it went on, and did not begin again: every other step is saved
    assert same(field_of(finished), field_of(tmp_path / "broken"))


@pytest.mark.parametrize("how", ["SIGINT", "SIGHUP", "pipe"])
def test_a_run_that_is_interrupted_saves_and_says_how_to_go_on(cli: Cli, tmp_path: Path, how: str) -> None:
    """By Ctrl-C, by a terminal that hangs up, or by a reader of its output that has had enough."""
    command = ["generate", "a red car", *TINY[1:], "--steps", "400", "--set", "save_every=1000"]
    code = (
        "import signal; signal.signal(signal.SIGHUP, signal.SIG_DFL); signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from df3d.cli import main; main()"  # whatever the tests themselves ignore
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, *command, "--json", "--out", "run"],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stderr is not None
    for line in process.stdout:
        if json.loads(line)["event"] == "Stepped":
            break
    if how == "pipe":
        process.stdout.close()
        talk = process.stderr.read()
        process.wait(timeout=120)
    else:
        for _ in range(2 if how == "SIGHUP" else 1):  # a terminal that closes may say so twice
            process.send_signal(getattr(signal, how))
        rest, talk = process.communicate(timeout=120)
        assert json.loads(rest.splitlines()[-1])["event"] == "Saved"
    assert process.returncode == 130
    assert talk.splitlines() == ["stopped; run the same command again to go on from run"]
    assert len(list((tmp_path / "run" / "coarse").glob("step-*.safetensors"))) == 1
    assert cli("export", "run", "--format", "stl", "--quiet").stdout == "run/asset.stl\n"


GUIDE = Path(__file__).parents[1] / "docs" / "how-to" / "plugins" / "guidance.md"


@pytest.fixture(scope="session")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package of the guide, and a broken entry point beside it, installed with pip into a folder that is put on the path."""
    source, site = tmp_path_factory.mktemp("df3d-red"), tmp_path_factory.mktemp("site")
    files = dict(re.findall(r"^`([\w/]+\.(?:py|toml))`[^\n]*\n\n```\w+\n(.*?)^```", GUIDE.read_text(), re.MULTILINE | re.DOTALL))
    assert list(files) == ["pyproject.toml", "df3d_red/hooks.py", "df3d_red/guidance.py"]
    files["pyproject.toml"] += 'broken = "df3d_red.broken"\n'
    files |= {"df3d_red/__init__.py": "", "df3d_red/broken.py": "raise RuntimeError('half installed')"}
    for name, text in files.items():
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text(text)
    pip_install(site, source)
    return site


def test_a_third_party_guidance_is_found_and_used(cli: Cli, stranger: Path, tmp_path: Path) -> None:
    path = {"PYTHONPATH": str(stranger)}
    assert "Make it red" in cli("plugins", **path).stdout
    done = cli("generate", "anything at all", "--guidance", "red", "--set", "guidance.strength=2", "--out", "run", *TINY, **path)
    assert done.returncode == 0, done.stderr
    recipe = (tmp_path / "run" / "run.toml").read_text()
    assert 'use = "red"' in recipe
    assert "strength = 2.0" in recipe
    assert json.loads((tmp_path / "run" / "run.json").read_text())["versions"]["df3d-red"] == "0.1.0"


def test_a_plugin_that_raises_on_import_is_shown_and_stops_nothing(cli: Cli, stranger: Path) -> None:
    path = {"PYTHONPATH": str(stranger)}
    listed = cli("plugins", **path)
    assert listed.returncode == 0
    assert "broken (df3d-red 0.1.0): RuntimeError: half installed" in listed.stdout
    assert cli("--help", **path).returncode == 0
    asked = cli("generate", "a red car", "--guidance", "broken", **path)
    assert asked.returncode == 1
    assert "plugin `broken` (df3d-red) is broken: RuntimeError: half installed" in asked.stderr
    assert "DF3D_DISABLE_PLUGINS" not in os.environ
    assert "half installed" not in cli("plugins", DF3D_DISABLE_PLUGINS="broken", **path).stdout
