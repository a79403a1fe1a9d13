"""What a person sees when something is wrong: one line, a hint, the right exit code, no traceback, nothing lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from command import TINY, Cli

from df3d import __version__
from df3d.cli.context import show, table


def refused(done: subprocess.CompletedProcess[str], message: str, hint: str = "") -> None:
    lines = [line for line in done.stderr.splitlines() if line.startswith("error:")]
    assert lines, done.stderr
    assert message in lines[0]
    assert len(lines) == 1
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    if hint:
        assert hint in next(line for line in done.stderr.splitlines() if line.startswith("hint:"))


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        ([""], "the prompt is empty", "say what to make"),
        (["a flurb"], "the prior knows no object in `a flurb`", "--recipe dreamfusion"),
        (["a gren cra"], "knows no object", "`green`"),
        (["a \x1b[31mcar"], "control characters", ""),
        (["a car", "--recipe", "toybx"], "there is no recipe `toybx`", "`toybox`"),
        (["a car", "--recipe", "no/such.toml"], "recipe `no/such.toml` cannot be read", ""),
        (["a car", "--guidance", "toybxo"], "there is no guidance `toybxo`", "`toybox`"),
        (["a car", "--set", "field.levles=3"], "unknown key `field.levles`", "`field.levels`"),
        (["a car", "--set", "field.levels=many"], "`coarse.field.levels` must be a whole number", ""),
        (["a car", "--set", "field.levels"], "no `KEY=VALUE`", ""),
        (["a car", "--device", "tpu"], "there is no device `tpu`", "`cpu`"),
        (["a car", "--device", "cuda:77"], "there is no device `cuda:77`", "--device cpu"),
        (["a car", "--resume"], "there is no run to resume", ""),
        (["a car", "--guidance", "sds"], "guidance `sds` has no model", "--set guidance.model=sd21"),
        (["a car", "--out", "a" * 300], "File name too long", ""),
    ],
)
def test_a_mistake_costs_one_line(cli: Cli, arguments: list[str], message: str, hint: str) -> None:
    refused(cli("generate", *arguments), message, hint)


def test_wrong_usage_is_exit_code_2(cli: Cli) -> None:
    assert cli("generate").returncode == 2
    assert cli("generate", "a car", "--steps", "0").returncode == 2
    assert cli("plugins", "shwo").returncode == 2


def test_the_version_is_said(cli: Cli) -> None:
    assert cli("--version").stdout == f"df3d {__version__}\n"


def test_debug_shows_the_traceback(cli: Cli) -> None:
    done = cli("generate", "", "--debug")
    assert "Traceback" in done.stderr
    assert "the prompt is empty" in done.stderr


def test_a_folder_with_other_files_is_left_alone(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    refused(cli("generate", "a car", "--out", "mine"), "`mine` holds files that are not a run")
    refused(cli("generate", "a car", "--out", "mine", "--fresh"), "`mine` holds files that are not a run")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "precious"


def test_a_folder_that_is_a_file_cannot_be_written(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    refused(cli("generate", "a car", "--out", "file/run"), "cannot write to `file/run`", "--out")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_an_unwritable_folder_says_so(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    refused(cli("generate", "a car", "--out", "closed/run"), "cannot write to `closed/run`", "--out")


def test_a_damaged_recipe_file_says_which_line(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text('name = "bad"\n[[stage]\n')
    refused(cli("generate", "a car", "--recipe", "bad.toml"), "recipe `bad.toml` is not valid TOML", "mend that line")


def test_export_of_something_else_is_refused(cli: Cli, tmp_path: Path) -> None:
    refused(cli("export", "nowhere"), "`nowhere` is not a run folder", "df3d generate")


def test_plugins_and_recipes_are_listed_for_people_and_programs(cli: Cli) -> None:
    assert "hashgrid" in cli("plugins").stdout
    listed = json.loads(cli("plugins", "--json").stdout)
    assert {part["name"] for source in listed for part in source["parts"]} >= {"hashgrid", "raymarch", "sds", "toybox", "glb"}
    shown = json.loads(cli("plugins", "show", "hashgrid", "--json").stdout)
    assert {"name": "levels", "default": 16, "type": "a whole number, between 1 and 32", "help": "resolutions"} in shown[0][
        "options"
    ]
    assert "log2_table" in cli("plugins", "show", "hashgrid").stdout
    refused(cli("plugins", "show", "hashgird"), "there is no part `hashgird`", "`hashgrid`")
    assert "toybox" in cli("recipes").stdout
    assert 'use = "toybox"' in cli("recipes", "show", "toybox").stdout


def test_doctor_looks_at_everything_and_says_whether_something_can_run(cli: Cli) -> None:
    done = cli("doctor", "--json")
    found = {finding["what"]: finding for finding in json.loads(done.stdout)}
    assert found["torch"]["state"] == "ok"
    assert found["plugin toybox"]["state"] == "ok"
    assert done.returncode == 0


def test_a_run_refuses_what_it_does_not_hold_and_keeps_what_it_does(cli: Cli, finished: Path) -> None:
    before = (finished / "asset.glb").read_bytes()
    refused(
        cli("generate", "a blue car", "--out", "run", *TINY), "holds a run with prompt `a red car`, not `a blue car`", "--fresh"
    )
    refused(cli("generate", "a red car", "--negative", "ugly", "--out", "run", *TINY), "with negative ``, not `ugly`")
    refused(cli("generate", "a red car", "--seed", "1", "--out", "run", *TINY), "with seed `0`, not `1`")
    refused(cli("generate", "a red car", "--out", "run", *TINY, "--set", "field.levels=5"), "other settings", "run.toml")
    assert (finished / "asset.glb").read_bytes() == before

    newest = sorted((finished / "fine").glob("*.safetensors"))[-1]
    newest.write_bytes(b"damaged")
    (finished / "asset.glb").unlink()  # so that there is something to do
    refused(cli("generate", "a red car", "--out", "run", *TINY), f"checkpoint `run/fine/{newest.name}` cannot be read", "delete")
    refused(cli("export", "run", "--stage", "fine"), "cannot be read")
    newest.unlink()
    assert cli("generate", "a red car", "--out", "run", *TINY).returncode == 0

    for name in ("run.toml", "run.json"):
        kept = (finished / name).read_text()
        (finished / name).write_text("{[")
        refused(cli("generate", "a red car", "--out", "run", *TINY), f"run/{name}", "--fresh")
        (finished / name).write_text(kept)


def test_a_finished_run_exports_in_every_format(cli: Cli, finished: Path) -> None:
    for name in ("obj", "ply", "stl"):
        done = cli("export", "run", "--format", name, "--quiet")
        assert done.stdout == f"run/asset.{name}\n", done.stderr
        assert (finished / f"asset.{name}").stat().st_size > 1000
    own = (finished / "asset.glb").read_bytes()
    assert cli("export", "run", "--faces", "100", "--quiet").stdout == "run/export.glb\n"
    assert cli("export", "run", "--faces", "200", "--out", "run", "--quiet").stdout == "run/export.glb\n"
    assert (finished / "asset.glb").read_bytes() == own != (finished / "export.glb").read_bytes()
    assert cli("export", "run", "--out", "car.ply", "--quiet").stdout == "car.ply\n"
    assert cli("export", "run", "--out", "my.car.stl", "--quiet").stdout == "my.car.stl\n"
    assert cli("export", "run", "--out", "bare", "--format", "stl", "--quiet").stdout == "bare.stl\n"
    (finished.parent / "a.folder").mkdir()
    assert cli("export", "run", "--out", "a.folder", "--quiet").stdout == "a.folder/asset.glb\n"
    refused(cli("export", "run", "--out", "car.glb", "--format", "obj"), "`car.glb` is a glb file, not obj")
    refused(cli("export", "run", "--out", "car.fbx", "--quiet"), "no exporter writes `.fbx` files", ".glb")
    refused(cli("export", "run", "--format", "gbl"), "there is no exporter `gbl`", "`glb`")


def test_a_folder_in_use_is_refused(cli: Cli, finished: Path) -> None:
    from filelock import FileLock

    with FileLock(finished / ".lock"):
        refused(cli("generate", "a red car", "--out", "run", *TINY), "`run` is in use by another df3d", "--out")


def test_a_collapsed_field_ends_in_a_clear_error_and_keeps_the_run(cli: Cli, tmp_path: Path) -> None:
    empty = ["--set=field.blob_density=0.0", "--set=field.density_bias=-30.0"]
    refused(cli("generate", "a red car", "--out", "run", "--quiet", *TINY, *empty), "the field is empty: its densest point has")
    assert list((tmp_path / "run" / "coarse").glob("*.safetensors"))


def test_a_full_disk_ends_in_a_clear_error(cli: Cli, tmp_path: Path) -> None:
    """A file-size limit of the process stands for the full disk: writing a checkpoint fails in the same way."""
    code = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));"
        "from df3d.cli import main; main()"
    )
    import sys

    done = subprocess.run(
        [sys.executable, "-c", code, "generate", "a red car", "--out", "run", "--quiet", *TINY],
        cwd=tmp_path, capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    refused(done, "cannot write `run/coarse/step-000002.safetensors`", "--out")
    assert not list((tmp_path / "run").rglob("*.tmp"))


def test_a_prompt_is_a_text_and_never_a_file(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "however").write_text("secret")
    done = cli("generate", "@however")
    refused(done, "the prior knows no object in `@however`")
    assert "secret" not in done.stderr
    assert "--prompt-file however" in done.stderr
    refused(cli("generate", "-"), "the prompt is empty", "--prompt-file -")
    refused(cli("generate", "a car", "--prompt-file", "however"), "there is a prompt and a --prompt-file")


def test_names_reach_the_terminal_without_what_it_would_obey(cli: Cli, tmp_path: Path) -> None:
    name = "a\x1b[2J.glb"
    (tmp_path / name).write_bytes(b"")
    (tmp_path / "=cmd.glb").write_bytes(b"")
    (tmp_path / "r.toml").write_text('"\\u001b[2J" = 1\n[[stage]]\nname = "x"\n')
    for done in (
        cli("eval", name, "=cmd.glb", "--scorer", "geometry", "--csv", "s.csv", "--html", "s.html"),
        cli("eval", name, "--json", "--scorer", "geometry"),
        cli("render", name),
        cli("generate", "a car", "--recipe", "r.toml"),
    ):
        assert done.returncode == 1
        assert "\x1b" not in done.stdout + done.stderr
    for file in ("s.csv", "s.html"):
        assert "\x1b" not in (tmp_path / file).read_text()
    assert "\n=cmd" not in (tmp_path / "s.csv").read_text().replace(",", "\n")


def test_markup_of_strangers_is_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = table("name", "what")
    rows.add_row("[/red]", "[bold]x[/nothing] :smile:")
    show(rows, "[/] [link=file:///etc/passwd]y")
    printed = capsys.readouterr().out
    assert "[bold]x[/nothing] :smile:" in printed
    assert "[/] [link=file:///etc/passwd]y" in printed


def test_output_that_is_not_utf_8_is_escaped(cli: Cli, tmp_path: Path) -> None:
    import trimesh

    trimesh.creation.box().export(tmp_path / "box.stl")
    score = ("eval", "box.stl", "--scorer", "geometry", "--prompt", "红 \U0001f600", "--quiet")
    done = cli(*score, "--json", PYTHONIOENCODING="cp1252")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[0])["prompt"] == "红 \U0001f600"
    table = cli(*score, PYTHONIOENCODING="cp1252")
    assert table.returncode == 0, table.stderr
    assert "\\u7ea2" in table.stdout


@pytest.mark.skipif(os.name == "nt", reason="closes streams as a shell does")
def test_a_service_without_streams_works(tmp_path: Path) -> None:
    run = f"{sys.executable} -m df3d generate 'a red car' --steps 1 --until coarse --out run {' '.join(TINY[1:])}"
    done = subprocess.run(["sh", "-c", f"{run} <&- 2>&-"], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert (done.returncode, done.stdout) == (0, "run\n")
    for closed in (">&-", ">&- 2>&- <&-"):
        done = subprocess.run(
            ["sh", "-c", f"{sys.executable} -m df3d recipes {closed}"], cwd=tmp_path, capture_output=True, timeout=300
        )
        assert (done.returncode, done.stderr) == (0, b"")
