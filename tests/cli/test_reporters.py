"""What is said of a run, and where."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from df3d import events
from df3d.cli import generate, reporters

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


def test_each_event_has_its_sentence() -> None:
    told = {
        "stage fine: 80 steps, going on from 30": events.StageStarted("fine", 30, 80),
        "stage fine: 80 steps": events.StageStarted("fine", 0, 80),
        "paused after stage coarse; the same command without --until goes on": events.RunPaused(Path("run"), "coarse"),
        "export: texture": events.Exporting("texture"),
        "note: it is late": events.Notice("it is late"),
        "finished in 89 s": events.RunFinished(Path("run"), Path("a"), 89.4),
        "finished in 1 min 30 s": events.RunFinished(Path("run"), Path("a"), 90.0),
        "finished in 61 min 1 s": events.RunFinished(Path("run"), Path("a"), 3661.9),
    }
    assert {reporters.sentence(event) for event in told.values()} == set(told)
    assert [reporters.sentence(event) for event in told.values()] == list(told)
    assert reporters.sentence(events.Saved(Path("x"), 3)) is None


def test_every_so_many_steps_are_told_and_the_last(capsys: pytest.CaptureFixture[str]) -> None:
    reporter = reporters.PlainReporter(every=4)
    for step in range(1, 11):
        reporter(events.Stepped("coarse", step, 10, 0.0014, {}))
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == ["4/10", "8/10", "10/10"]
    reporter(events.Stepped("coarse", 8, 10, 0.0014, {}))
    assert capsys.readouterr().err == "coarse 8/10  1 ms/step  opacity 0.00\n"


def test_pictures_are_not_told_of_a_run_that_failed(capfd: pytest.CaptureFixture[str]) -> None:
    reporter = reporters.LiveReporter()
    reporter.__enter__()
    reporter(events.Previewed(Path("run/coarse/preview.png")))
    reporter.__exit__(ValueError, ValueError("no"), None)
    assert "pictures:" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("json_", "quiet", "kind"),
    [
        (True, True, reporters.JsonReporter), (True, False, reporters.JsonReporter), (False, True, reporters.QuietReporter),
        (False, False, reporters.PlainReporter),
    ],
)  # fmt: skip
def test_programs_come_before_quiet(json_: bool, quiet: bool, kind: type) -> None:
    assert type(generate._reporter(json_, quiet)) is kind
