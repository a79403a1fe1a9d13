"""How scores are shown: the table for people, CSV, JSON, and which columns there are."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from df3d import ScorerPlugin, hookimpl, option
from df3d.cli import eval as command
from df3d.errors import ConfigError
from df3d.evaluation.results import Result
from df3d.evaluation.statistics import Interval
from df3d.evaluation.targets import Target
from df3d.plugin.catalog import Catalog
from df3d.recipe.plan import ConfiguredPart


def result(name: str, scores: dict[str, float], *, seed: int | None = None, protocol: str = "p1") -> Result:
    return Result(Target(Path(name), f"prompt of {name}", seed=seed), scores, protocol=protocol)


RESULTS = [
    result("a.glb", {"one.good": 0.5, "one.hidden": 3.0, "two.bad": 2.0}, seed=0),
    result("b.glb", {"one.good": 1.0}, protocol="p0"),
]
MEANS = {"one.good": Interval(0.75, 0.5, 1.0, 2), "one.hidden": Interval(3.0, 3.0, 3.0, 1), "two.bad": Interval(2.0, -1.5, 2.0, 1)}


def lines(capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    return [line.split() for line in capsys.readouterr().out.splitlines()]


def test_the_table_has_the_headlines_and_a_mean_of_several(capsys: pytest.CaptureFixture[str]) -> None:
    headline = ["two.bad", "one.good", "three.absent"]
    command._print(RESULTS, MEANS, headline, compare=False)
    rows = lines(capsys)
    assert rows[0] == ["two", "one"]
    assert rows[1] == ["target", "prompt", "bad", "good"]
    assert rows[2] == ["a.glb", "prompt", "of", "a.glb", "2", "0.5"]
    assert rows[3] == ["b.glb", "prompt", "of", "b.glb", "1"]
    assert rows[4] == ["mean", "2", "0.75"]
    assert rows[5] == ["-1.5", "to", "2", "0.5", "to", "1"]
    assert " ".join(rows[-1]).startswith("protocol p0, p1; 95 % bootstrap intervals")
    command._print(RESULTS[:1], MEANS, headline, compare=False)
    assert "mean" not in [row[0] for row in lines(capsys)]


def test_differences_have_their_sign_and_the_number_of_prompts(capsys: pytest.CaptureFixture[str]) -> None:
    command._print(RESULTS, MEANS, ["one.good"], compare=True)
    rows = lines(capsys)
    assert rows[0] == ["measure", "difference", "from", "to", "prompts"]
    assert rows[1] == ["one.good", "+0.75", "+0.5", "+1", "2"]
    assert rows[3] == ["two.bad", "+2", "-1.5", "+2", "1"]


def test_the_csv_has_a_column_for_each_measure_of_any(tmp_path: Path) -> None:
    command._write_csv(tmp_path / "t.csv", RESULTS)
    rows = list(csv.reader((tmp_path / "t.csv").read_text().splitlines()))
    assert rows == [
        ["protocol", "target", "prompt", "seed", "one.good", "one.hidden", "two.bad"],
        ["p1", "a.glb", "prompt of a.glb", "0", "0.5", "3.0", "2.0"],
        ["p0", "b.glb", "prompt of b.glb", "", "1.0", "", ""],
    ]


@pytest.mark.parametrize("compare", [False, True])
def test_the_last_line_of_json_is_the_summary(capsys: pytest.CaptureFixture[str], compare: bool) -> None:
    command._print_json({"one.good": Interval(0.75, 0.5, float("nan"), 2)}, 12, compare=compare)
    told = json.loads(capsys.readouterr().out)
    assert told["compare" if compare else "summary"] == {"one.good": {"mean": 0.75, "low": 0.5, "high": None, "count": 2}}
    assert set(told) == {"protocol", "compare" if compare else "summary"}


@dataclass(frozen=True, kw_only=True)
class Pooled:
    pool: str = option("", "captions")


def scorer(name: str, **more: Any) -> ScorerPlugin:
    return ScorerPlugin(name=name, summary="Scores", target="x:y", **more)


@pytest.fixture(scope="module")
def scorers() -> Catalog:
    class Offers:
        @hookimpl
        def df3d_scorers(self) -> list[ScorerPlugin]:
            first = scorer("first", headline=("b", "a"), lower=frozenset({"a"}), config=Pooled)
            return [scorer("plain", headline=("c",)), first, scorer("second", headline=("d",), config=Pooled)]

    catalog = Catalog()
    catalog.add(Offers())
    return catalog


def test_headlines_are_in_the_order_of_the_scorers(scorers: Catalog) -> None:
    chosen = {name: ConfiguredPart(scorers.scorers.get(name), None) for name in ("plain", "first")}
    assert command.headlines(chosen) == (["plain.c", "first.b", "first.a"], frozenset({"first.a"}))


def test_a_pool_is_for_all_scorers_that_have_one_or_those_that_are_named(scorers: Catalog) -> None:
    path = Path('my "pool".txt')
    text = json.dumps(str(path))
    assert command._pool_settings(path, [], scorers) == [f"first.pool={text}", f"second.pool={text}"]
    assert command._pool_settings(path, ["plain", "second"], scorers) == [f"second.pool={text}"]
    with pytest.raises(ConfigError, match="no scorer retrieves prompts among captions"):
        command._pool_settings(path, ["plain"], scorers)
