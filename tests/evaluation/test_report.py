from __future__ import annotations

import base64
import re
from pathlib import Path

from assets import write

from df3d.evaluation import report
from df3d.evaluation.evaluate import Result
from df3d.evaluation.statistics import summary
from df3d.evaluation.targets import Target
from df3d.plugin.catalog import Catalog


def test_a_report_escapes_what_a_prompt_holds(tmp_path: Path) -> None:
    result = Result(Target(Path("a.glb"), "<script>alert('x')</script>\x07 & co"), {"s.m": 1.0}, {"asset": "<b>bad</b>"})
    report.write(tmp_path / "r.html", [result], summary([result]), headline=["s.m"], lower=frozenset(), catalog=Catalog())
    page = (tmp_path / "r.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "<b>bad" not in page


def found(name: str, score: float | None, **changes: object) -> Result:
    scores = {} if score is None else {"s.m": score, "s.more": 5.0}
    return Result(Target(Path(f"{name}.glb"), name), scores, {"asset": "not drawn"}, **changes)  # type: ignore[arg-type]


def page(tmp_path: Path, results: list[Result], **changes: object) -> str:
    given = {"headline": ["s.m", "s.more", "s.none"], "lower": frozenset(), "catalog": Catalog(), **changes}
    report.write(tmp_path / "r.html", results, summary(results), **given)  # type: ignore[arg-type]
    return (tmp_path / "r.html").read_text()


def cells(page: str, kind: str) -> list[str]:
    return re.findall(rf'<td class="number {kind}" data-value="([^"]*)"', page)


def test_the_best_of_a_column_is_green_and_the_worst_red(tmp_path: Path) -> None:
    results = [found("a", 1.0), found("b", 3.0), found("c", 2.0), found("d", None)]
    more, less = page(tmp_path, results), page(tmp_path, results, lower=frozenset({"s.m"}))
    assert (cells(more, "best"), cells(more, "worst")) == (["3.0"], ["1.0"])  # and none where all are alike
    assert (cells(less, "best"), cells(less, "worst")) == (["1.0"], ["3.0"])
    damaged = page(tmp_path, [found("e", float("nan")), *results])
    assert (cells(damaged, "best"), cells(damaged, "worst")) == (["3.0"], ["1.0"])
    alone = page(tmp_path, results[:1])
    assert (cells(alone, "best"), cells(alone, "worst")) == ([], [])


def test_a_page_shows_the_columns_that_there_are_and_sorts_by_whole_numbers(tmp_path: Path) -> None:
    text = page(tmp_path, [found("a", 1.23456789)])
    assert re.findall(r'<th class="number">(.*?)</th>', text) == ["s<br>m", "s<br>more"]
    assert 'data-value="1.23456789">1.235<' in text
    assert '<td class="number"></td>' in page(tmp_path, [found("a", 1.0), found("b", None)])


def test_a_page_says_how_many_and_by_which_protocol_and_how_far_off(tmp_path: Path) -> None:
    one = page(tmp_path, [found("a", 1.0)])
    assert "<h1>1 asset</h1>" in one
    assert "Protocol df3d-1. Below: mean" in one
    assert "standard error" not in one
    two = page(tmp_path, [found("a", 1.0), found("b", 3.0, protocol="df3d-1/views=4")])
    assert "<h1>2 assets</h1>" in two
    assert "Protocol df3d-1, df3d-1/views=4." in two
    assert "A share of 2 has a standard error of up to 35.4 points." in two
    assert "<td>mean</td>" in two
    assert "2<br><small>1 to 3</small>" in two
    compared = page(tmp_path, [found("a", 1.0), found("b", 3.0)], compared=True)
    assert "<td>second less first</td>" in compared
    assert "standard error" not in compared


def test_what_has_no_picture_of_its_own_is_drawn_and_a_run_shows_its_turntable(tmp_path: Path, catalog: Catalog) -> None:
    path = write(tmp_path / "a.glb", catalog)
    drawn = page(tmp_path, [Result(Target(path, "a box"), {"s.m": 1.0})], catalog=catalog)
    assert drawn.count("data:image/webp") == 1
    assert "<img" not in page(tmp_path, [found("a", 1.0)])  # one that could not be read
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "turntable.webp").write_bytes(b"RIFF\0\0\0\0WEBPmine")
    run = page(tmp_path, [Result(Target(path, "a box", run=tmp_path / "run"), {"s.m": 1.0})], catalog=catalog)
    assert base64.b64encode(b"RIFF\0\0\0\0WEBPmine").decode() in run
