"""What `df3d generate` makes of its arguments, and of several seeds, with a job that takes no time."""

from __future__ import annotations

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from df3d.cli import build, generate
from df3d.errors import ConfigError, PromptError, RunError
from df3d.events import RunFinished, RunPaused
from df3d.plugin.catalog import Catalog
from df3d.prompt import Picture


def test_a_prompt_is_one_line_without_control_characters() -> None:
    assert generate._plain("  a   red\ncar ") == "a red car"
    assert generate._plain("un café \U0001f600") == "un café \U0001f600"
    for text in ("a \x1b[31mcar", "a \x00car", "a \udc80car"):
        with pytest.raises(PromptError, match="has control characters"):
            generate._plain(text)


def test_a_picture_may_say_where_it_was_seen_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert generate._picture("a.png") == Picture(Path("a.png"))
    assert generate._picture("me@home.png@-30,10.5") == Picture(Path("me@home.png"), -30.0, 10.5)
    (tmp_path / "b@30,10").touch()
    assert generate._picture("b@30,10") == Picture(Path("b@30,10"))  # a file of that name
    for text in ("a.png@30", "a.png@30,10,5", "a.png@left,up"):
        with pytest.raises(PromptError, match="is no camera"):
            generate._picture(text)


def test_a_file_of_several_lines_is_one_prompt_and_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one").write_text("a red car\n")
    (tmp_path / "two").write_text("a red car\non a table\n")
    assert generate._text(None, tmp_path / "one", False) == "a red car"
    assert capsys.readouterr().err == ""
    assert generate._text(None, tmp_path / "two", False) == "a red car on a table"
    assert "are one prompt; for a list of prompts use `df3d batch`" in capsys.readouterr().err
    generate._text(None, tmp_path / "two", True)
    assert capsys.readouterr().err == ""
    with pytest.raises(PromptError, match="cannot be read from"):
        generate._text(None, tmp_path / "gone", False)
    with pytest.raises(typer.BadParameter):
        generate._text(None, None, False)


@pytest.mark.parametrize(("resume", "how"), [(None, "again"), (True, "without --resume"), (False, "without --fresh")])
def test_who_insisted_is_told_to_leave_that_out(resume: bool | None, how: str) -> None:
    assert generate._again(SimpleNamespace(resume=resume)) == f"run the same command {how}"  # type: ignore[arg-type]


class Job:
    """Makes a run at once; the seeds in `fails` fail, and with the seed `stops` somebody asks to stop."""

    def __init__(self, fails: tuple[int, ...] = (), stops: int | None = None) -> None:
        self.fails, self.stops, self.forgot = fails, stops, 0
        self.stop, self.resume, self.prompt = threading.Event(), None, SimpleNamespace(text="a red car")
        self.kept = SimpleNamespace(forget=self.forget)

    def forget(self) -> None:
        self.forgot += 1

    def run(self, folder: Path, seed: int, tell: Any) -> RunFinished:
        if seed in self.fails:
            raise RunError(f"seed {seed} went wrong")
        if seed == self.stops:
            self.stop.set()
        return RunFinished(folder, folder / "asset.glb", 1.0)


def made(job: Job, seeds: range, out: Path | None) -> tuple[list[str], int]:
    found, failed = generate._make_all(job, seeds, out, json=False, quiet=True)  # type: ignore[arg-type]
    assert all(asset == folder / "asset.glb" for folder, asset in found)
    return [str(folder) for folder, _ in found], failed


def test_each_seed_has_its_folder() -> None:
    assert made(Job(), range(3, 4), Path("x")) == (["x"], 0)
    assert made(Job(), range(3, 5), Path("x")) == (["x/seed3", "x/seed4"], 0)
    assert made(Job(), range(2), None) == (["runs/a-red-car", "runs/a-red-car-seed1"], 0)


def test_a_seed_that_fails_stops_no_other(capsys: pytest.CaptureFixture[str]) -> None:
    job = Job(fails=(0, 2))
    assert made(job, range(3), Path("x")) == (["x/seed1"], 2)
    assert job.forgot == 2  # models are loaded anew
    assert capsys.readouterr().err.splitlines() == [f"error: seed {seed}: seed {seed} went wrong" for seed in (0, 2)]
    with pytest.raises(RunError, match="seed 1 went wrong"):  # none was made
        made(Job(fails=(0, 1)), range(2), Path("x"))
    with pytest.raises(RunError, match="seed 0 went wrong"):
        made(Job(fails=(0,)), range(1), Path("x"))


def test_who_stops_is_told_which_seeds_are_left(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as ended:
        made(Job(stops=1), range(4), Path("x"))
    assert ended.value.exit_code == 130
    assert capsys.readouterr().err == "stopped; run the same command again to make the seeds from 2 on\n"
    assert made(Job(stops=3), range(4), Path("x"))[1] == 0  # the last one was made all the same


def test_a_run_that_is_paused_has_no_asset_and_its_folder_is_told() -> None:
    job = Job()
    job.run = lambda folder, seed, tell: RunPaused(folder, "coarse")  # type: ignore[assignment,method-assign]
    assert generate._make(job, Path("x"), 0, json=False, quiet=True) == Path("x")  # type: ignore[arg-type]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the command asks of a run."""
    seen: dict[str, Any] = {}

    def prepare(prompt: str, **more: Any) -> Any:
        seen.update(more, prompt=prompt)
        raise RunError("that will do")

    monkeypatch.setattr("df3d.run.job.prepare", prepare)
    return seen


def test_what_is_typed_reaches_the_run(catalog: Catalog, asked: dict[str, Any]) -> None:
    words = "generate a_car --guidance clip --prior mine --set a=1 --set b=2 --steps 7 --negative no --until coarse --seed 3"
    more = "--device cpu --vram 8G --fresh --recipe r --mesh m.glb --image p.png@1,2"
    CliRunner().invoke(build(catalog), [*words.split(), *more.split()])
    assert asked.pop("catalog") is catalog
    assert asked == {
        "prompt": "a_car", "recipe": "r", "negative": "no", "until": "coarse", "device": "cpu", "vram": "8G", "resume": False,
        "settings": ["guidance.use=clip", f"guidance.model={Path('mine').absolute()}", "a=1", "b=2", "steps=7"],
        "mesh": Path("m.glb"), "pictures": [Picture(Path("p.png"), 1.0, 2.0)],
    }  # fmt: skip


def test_what_is_not_typed_is_left_to_the_recipe(catalog: Catalog, asked: dict[str, Any]) -> None:
    CliRunner().invoke(build(catalog), ["generate", "a car"])
    assert {name: asked[name] for name in ("recipe", "settings", "device", "vram", "resume", "until", "negative")} == {
        "recipe": "auto", "settings": [], "device": "auto", "vram": None, "resume": None, "until": None, "negative": "",
    }  # fmt: skip


@pytest.mark.parametrize("more", [["--seeds", "1"], ["--seeds", "2", "--until", "coarse"]])
def test_the_best_is_chosen_among_several_that_are_finished(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    monkeypatch.setattr("df3d.run.job.prepare", lambda *given, **told: Job())
    done = CliRunner().invoke(build(catalog), ["generate", "a car", "--best-by", "geometry", *more])
    assert isinstance(done.exception, ConfigError)
    assert "--best-by chooses among several finished runs" in str(done.exception)
