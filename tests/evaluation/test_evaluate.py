"""What becomes of targets, with scorers whose numbers are known, and the command."""

from __future__ import annotations

import csv
import dataclasses
import json
import os
from pathlib import Path

import numpy as np
import pytest
from assets import box, write
from command import Cli

from df3d import ScorerPlugin, hookimpl
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
    (tmp_path / "damaged.glb").write_bytes(b"glTF")
    assert cli("eval", "damaged.glb", "--scorer", "geometry").returncode == 1
    assert cli("eval", ".", "--scorer", "geometry").returncode == 0  # some have scores


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


class Seen:
    """Scores how many views there are."""

    def score(self, subject: TargetSubject) -> dict[str, float]:
        return {"views": float(len(subject.cameras))}


def test_another_number_of_views_is_another_protocol_and_its_scores_stand_alone(catalog: Catalog, tmp_path: Path) -> None:
    manifest = '{"prompt": "a box", "seed": 7, "status": "finished", "asset": "asset.glb"}'
    (tmp_path / "run.json").write_text(manifest)
    write(tmp_path / "asset.glb", catalog)

    def kept(name: str, views: int) -> tuple[str, dict[str, float]]:
        (result,) = evaluate.evaluate(find_targets([tmp_path], catalog), {name: Seen()}, catalog, views=views)
        assert result.target.seed == 7
        written = json.loads((tmp_path / "scores.json").read_text())
        assert written["protocol"] == result.protocol
        return result.protocol, written["scores"]

    assert kept("one", 12) == ("df3d-1", {"one.views": 12.0})
    assert kept("two", 6) == ("df3d-1/views=6", {"two.views": 6.0})
    assert kept("one", 6) == ("df3d-1/views=6", {"two.views": 6.0, "one.views": 6.0})
    (tmp_path / "run.json").write_text(manifest.replace("a box", "a crate"))
    assert kept("three", 6) == ("df3d-1/views=6", {"three.views": 6.0})


def test_a_score_that_is_measured_again_replaces_the_one_before(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text('{"prompt": "a box", "status": "finished", "asset": "asset.glb"}')
    write(tmp_path / "asset.glb", catalog)
    kept = []
    for value in (1.0, 2.0):

        class Changing:
            value: float

            def score(self, subject: TargetSubject) -> dict[str, float]:
                return {"value": self.value}

        scorer = Changing()
        scorer.value = value
        list(evaluate.evaluate(find_targets([tmp_path], catalog), {"s": scorer}, catalog))
        kept.append(json.loads((tmp_path / "scores.json").read_text())["scores"])
    assert kept == [{"s.value": 1.0}, {"s.value": 2.0}]


def test_a_file_tells_its_seed_and_its_notes(catalog: Catalog, tmp_path: Path) -> None:
    asset = dataclasses.replace(box(), provenance={"prompt": "a box", "seed": 4})
    (result,) = evaluate.evaluate(find_targets([write(tmp_path / "a.glb", catalog, asset)], catalog), {}, catalog)
    assert (result.target.seed, result.notes) == (4, ())
    strange = dataclasses.replace(box(), provenance={"prompt": "a box", "seed": "x"})
    (other,) = evaluate.evaluate(find_targets([write(tmp_path / "b.glb", catalog, strange)], catalog), {}, catalog)
    assert other.target.seed is None
    summary([result, other])
    noted = dataclasses.replace(box(), notes=("a note",))
    target = Target(tmp_path / "a.glb", "a box")
    subject = TargetSubject(target, catalog, asset=noted)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluate, "TargetSubject", lambda *given, **options: subject)
        (result,) = evaluate.evaluate([target], {}, catalog)
    assert result.notes == ("a note",)


def test_a_scorer_that_ends_the_program_or_judges_other_things_stops_nothing(catalog: Catalog, tmp_path: Path) -> None:
    class Leaving:
        def score(self, subject: TargetSubject) -> dict[str, float]:
            raise SystemExit(3)

    class Clouds:
        @hookimpl
        def df3d_scorers(self) -> list[ScorerPlugin]:
            given = {
                "target": "nowhere:Scorer",
                "headline": ("one",),
                "takes": frozenset({"gaussians"}),
                "summary": "Judges clouds",
            }
            return [ScorerPlugin(name="clouds", **given)]  # type: ignore[arg-type]

    own = Catalog.discover()
    own.add(Clouds())
    scorers = {"leaving": Leaving(), "clouds": Seen(), "seen": Seen()}
    (result,) = evaluate.evaluate(find_targets([write(tmp_path / "a.glb", catalog)], own), scorers, own)
    assert result.problems == {
        "leaving": "SystemExit: 3 (--debug shows where)",
        "clouds": "it takes gaussians, and this is mesh",
    }
    assert result.scores == {"seen.views": 12.0}


def test_a_damaged_run_gets_no_scores_and_one_that_cannot_be_written_says_so(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.json").write_text("{")
    list(evaluate.evaluate(find_targets([tmp_path], catalog), {"seen": Seen()}, catalog))
    assert not (tmp_path / "broken" / "scores.json").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text('{"prompt": "a box", "status": "finished", "asset": "asset.glb"}')
    write(tmp_path / "run" / "asset.glb", catalog)
    (tmp_path / "run" / "scores.json").mkdir()
    (result,) = evaluate.evaluate(find_targets([tmp_path / "run"], catalog), {"seen": Seen()}, catalog)
    assert "cannot write" in result.problems["scores.json"]
    assert result.scores == {"seen.views": 12.0}
