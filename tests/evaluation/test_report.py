from __future__ import annotations

from pathlib import Path

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
