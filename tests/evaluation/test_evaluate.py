"""What becomes of targets, with scorers whose numbers are known, and the command."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from assets import box, write
from command import Cli

from df3d.errors import PromptError
from df3d.evaluation import evaluate, protocol
from df3d.evaluation.statistics import summary
from df3d.evaluation.subject import TargetSubject
from df3d.evaluation.targets import Target, find_targets
from df3d.plugin.catalog import Catalog


class Width:
    """Scores how wide the box is, and knows one prompt alone."""

    def score(self, subject: TargetSubject) -> dict[str, float]:
        if subject.prompt != "a box":
            raise PromptError(f"no score for `{subject.prompt}`")
        extent = np.ptp(subject.asset.mesh.vertices, axis=0)
        return {"ratio": float(extent[0] / extent[1])}


def test_what_cannot_be_scored_is_said_and_stops_nothing(catalog: Catalog, tmp_path: Path) -> None:
    write(tmp_path / "a.glb", catalog)
    write(tmp_path / "b.obj", catalog, box(2.0))  # an OBJ tells no prompt
    (tmp_path / "c.glb").write_bytes(b"glTF, but not really a file of it")
    targets = find_targets([tmp_path], catalog)
    results = list(evaluate.evaluate(targets, {"width": Width()}, catalog))
    assert [result.scores for result in results] == [{"width.ratio": pytest.approx(1.0)}, {}, {}]
    assert results[1].problems == {"width": "no score for ``"}
    assert "cannot be read" in results[2].problems["asset"]

    (tmp_path / "prompts.csv").write_text("path,prompt\nb.obj,a box\n")
    again = list(evaluate.evaluate(find_targets([tmp_path], catalog), {"width": Width()}, catalog))
    assert again[1].scores == {"width.ratio": pytest.approx(2.0)}
    assert list(summary(again)) == ["width.ratio"]
    assert summary(again)["width.ratio"].count == 2


class Clumsy:
    def score(self, subject: TargetSubject) -> dict[str, float]:
        raise ZeroDivisionError("by zero")


def test_a_scorer_that_stumbles_and_a_damaged_run_stop_nothing(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    write(tmp_path / "a.glb", catalog)
    targets = find_targets([tmp_path], catalog)
    first, second = evaluate.evaluate(targets, {"clumsy": Clumsy(), "width": Width()}, catalog)
    assert first.problems == {"clumsy": "ZeroDivisionError: by zero (--debug shows where)"}
    assert first.scores == {"width.ratio": pytest.approx(1.0)}
    assert "run.json` is damaged" in second.problems["asset"]


def test_scores_of_other_scorers_stay_until_the_asset_changes(catalog: Catalog, tmp_path: Path) -> None:
    class One:
        def score(self, subject: TargetSubject) -> dict[str, float]:
            return {"one": 1.0}

    (tmp_path / "run.json").write_text('{"prompt": "a box", "seed": 0, "status": "finished", "asset": "asset.glb"}')
    asset = write(tmp_path / "asset.glb", catalog)

    def kept(name: str, scorer: object) -> set[str]:
        list(evaluate.evaluate(find_targets([tmp_path], catalog), {name: scorer}, catalog))  # type: ignore[dict-item]
        return set(json.loads((tmp_path / "scores.json").read_text())["scores"])

    assert kept("width", Width()) == {"width.ratio"}
    assert kept("other", One()) == {"width.ratio", "other.one"}
    os.utime(asset, (2**32, 2**32))
    assert kept("other", One()) == {"other.one"}
    asset.unlink()
    assert kept("other", One()) == set()  # said as a problem, not a traceback


def test_the_picture_of_a_box_shows_its_colour_and_its_shape(catalog: Catalog, tmp_path: Path) -> None:
    subject = TargetSubject(Target(write(tmp_path / "a.glb", catalog), "a box"), catalog, views=4)
    middle = protocol.SIZE // 2
    assert subject.color.shape == (4, protocol.SIZE, protocol.SIZE, 3)
    red, green, _ = subject.color[0, middle, middle].tolist()
    assert red > 0.9
    assert green < 0.05
    assert subject.geometry[0, middle, middle].min() > 0.9
    assert subject.color[0, 0, 0].tolist() == [1, 1, 1]


def test_the_command_prints_writes_and_counts(cli: Cli, tmp_path: Path, catalog: Catalog) -> None:
    write(tmp_path / "a.glb", catalog)
    write(tmp_path / "b.glb", catalog, box(2.0))
    done = cli("eval", "a.glb", "b.glb", "--scorer", "geometry", "--csv", "t.csv", "--html", "t.html")
    assert done.returncode == 0, done.stderr
    assert "watertight" in done.stdout
    with (tmp_path / "t.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["geometry.triangles"] for row in rows] == ["12.0", "12.0"]
    assert {row["protocol"] for row in rows} == {protocol.PROTOCOL}
    assert "a box" in (tmp_path / "t.html").read_text()
    lines = [json.loads(line) for line in cli("eval", ".", "--scorer", "geometry", "--json").stdout.splitlines()]
    assert lines[0]["scores"]["geometry.watertight"] == 1
    assert lines[-1]["summary"]["geometry.triangles"]["count"] == 2
    assert (tmp_path / "t.html").read_text().count("data:image/webp") == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.glb",), "there is no file"),
        (("a.txt",), "is neither a run nor a mesh file"),
        ((".",), "there is nothing to score"),
        ((".", "--scorer", "geometri"), "did you mean `geometry`"),
        ((".", "--compare"), "--compare takes two targets"),
        ((".", "--set", "geometry.wrong=1"), "unknown key `geometry.wrong`"),
        ((".", "--scorer", "clip"), "df3d models pull clip-b32"),
        ((".", "--csv", "no/where.csv"), "there is no folder `no`"),
        ((".", "--html", "."), "`.` is a folder"),
    ],
)
def test_bad_input_is_one_line_and_a_hint(cli: Cli, arguments: tuple[str, ...], message: str) -> None:
    done = cli("eval", *arguments, HF_HUB_OFFLINE="1", HF_HOME="empty")
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
