"""What is said of a run, and where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from df3d import events
from df3d.cli import reporters

STORY = [
    events.RunStarted(Path("run"), "a [bold]car[/bold]", "toybox", "cpu", 0, {"coarse": 100}),
    events.StageStarted("coarse", 0, 100),
    events.Stepped("coarse", 5, 100, 0.25, {"opacity": 0.125}),
    events.Stepped("coarse", 50, 100, 0.25, {"opacity": 0.5}),
    events.Previewed(Path("run/coarse/preview.png")),
    events.StageFinished("coarse", 100.0),
    events.RunFinished(Path("run"), Path("run/asset.glb"), 101.0, ("run/asset.glb",)),
]


def told(reporter: reporters.Reporter, capfd: pytest.CaptureFixture[str]) -> tuple[str, str]:
    with reporter:
        for event in STORY:
            reporter(event)
    return tuple(capfd.readouterr())


def test_plain_lines_go_to_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    assert told(reporters.PlainReporter(), capfd) == (
        "",
        """\
'a [bold]car[/bold]' with recipe toybox on cpu, in run
stage coarse: 100 steps
coarse 50/100  250 ms/step  opacity 0.50
picture: run/coarse/preview.png
stage coarse finished in 1 min 40 s
finished in 1 min 41 s
""",
    )


def test_the_live_display_says_the_same_around_its_bar(capfd: pytest.CaptureFixture[str]) -> None:
    out, talk = told(reporters.LiveReporter(), capfd)
    assert out == ""
    for text in (
        "'a [bold]car[/bold]' with recipe",
        "50/100",
        "opacity 0.50",
        "previews appear in run/coarse",
        "finished in 1 min 41 s",
    ):
        assert text in talk
    assert talk.rstrip().endswith("pictures: run/coarse/preview.png")


def test_json_lines_go_to_stdout_and_quiet_says_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    out, talk = told(reporters.JsonReporter(), capfd)
    assert [json.loads(line)["event"] for line in out.splitlines()] == [type(event).__name__ for event in STORY]
    assert talk == ""
    assert told(reporters.QuietReporter(), capfd) == ("", "")
