"""The best of several runs: by which measure, which way, and among which."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from df3d.batches import best
from df3d.batches.plan import Row
from df3d.batches.summary import State
from df3d.errors import ConfigError, RunError
from df3d.evaluation.results import Result
from df3d.evaluation.targets import Target
from df3d.plugin.catalog import Catalog


def part(*lower: str) -> Any:
    record = SimpleNamespace(lower=frozenset(lower), headline=("first", "second"), build=lambda config, device: object())
    return SimpleNamespace(plugin=record, config=None)


def test_without_a_measure_it_is_the_first_headline() -> None:
    scorers = {"judge": part("second")}
    assert best.judge("judge", scorers).measure == "judge.first"
    assert not best.judge("judge", scorers).lower
    named = best.judge("judge.second", scorers)
    assert (named.name, named.measure, named.lower) == ("judge", "judge.second", True)
    assert best.judge("judge.a.b", {"judge": part("a.b")}).lower


@pytest.fixture
def scored(monkeypatch: pytest.MonkeyPatch) -> dict[str, Result]:
    """What scoring finds, by the name of the run."""
    found: dict[str, Result] = {}
    monkeypatch.setattr(best, "find_targets", lambda runs, catalog: runs)
    monkeypatch.setattr(best, "evaluate", lambda runs, scorers, catalog, device: iter([found[run.name] for run in runs]))
    return found


def result(scores: dict[str, float], **problems: str) -> Result:
    return Result(Target(Path(), "x"), scores, problems)


@pytest.mark.parametrize(("lower", "order"), [((), ["b", "c", "a"]), (("first",), ["a", "c", "b"])])
def test_runs_are_ranked_the_best_first(
    scored: dict[str, Result], catalog: Catalog, lower: tuple[str, ...], order: list[str]
) -> None:
    scored |= {name: result({"judge.first": value}) for name, value in (("a", 1.0), ("b", 3.0), ("c", 2.0))}
    scored["d"] = result({}, judge="it could not")
    found = best.ranked([Path(name) for name in "dabc"], best.judge("judge", {"judge": part(*lower)}), catalog, device="cpu")
    assert [run.name for run, _ in found] == order
    assert dict(found)[Path("b")] == 3.0


def test_where_nothing_has_the_measure_the_reason_is_said(scored: dict[str, Result], catalog: Catalog) -> None:
    def refused(measure: str) -> Any:
        return best.ranked([Path("a")], best.judge(measure, {"judge": part()}), catalog, device="cpu")

    scored["a"] = result({"judge.first": 1.0, "other.frist": 1.0})
    with pytest.raises(ConfigError, match="scorer `judge` has no measure `judge.frist`") as error:
        refused("judge.frist")
    assert error.value.hint == "did you mean `judge.first`?"
    told = [({"judge": "it could not", "asset": "it is gone"}, "it could not"), ({"asset": "it is gone"}, "it is gone")]
    for problems, reason in (*told, ({}, "it says nothing of it")):
        scored["a"] = result({}, **problems)
        with pytest.raises(RunError, match=f"no run has a score `judge.first`: {reason}"):
            refused("judge.first")


def test_each_way_of_making_a_prompt_has_its_best(catalog: Catalog, tmp_path: Path, scored: dict[str, Result]) -> None:
    """Seeds compete; prompts, settings, recipes and what is not wanted do not. The first of equals wins."""
    rows = {
        "a0": Row("a", 0, "a0"), "a1": Row("a", 1, "a1"), "a2": Row("a", 2, "a2"), "b": Row("b", 0, "b"),
        "settings": Row("a", 0, "settings", settings=("steps=3",)), "recipe": Row("a", 0, "recipe", recipe="mine"),
        "negative": Row("a", 0, "negative", negative="blurry"),
    }  # fmt: skip
    values = {"a0": 1.0, "a1": 2.0, "a2": 2.0}
    states = [State(row, "done", scores=(("judge.first", values.get(name, 0.5)),)) for name, row in rows.items()]
    states.append(State(Row("c", 0, "c"), "waiting"))
    chosen = best.choose(tmp_path, states, best.judge("judge", {"judge": part()}), catalog, device="cpu")
    assert [state.row.folder for state in chosen if state.best] == ["a1", "b", "settings", "recipe", "negative"]


def test_only_what_has_no_score_yet_is_scored_and_keeps_its_others(
    catalog: Catalog, tmp_path: Path, scored: dict[str, Result]
) -> None:
    scored["new"] = result({"judge.first": 5.0})  # another would be missing here
    states = [
        State(Row("a", 0, "old"), "done", scores=(("judge.first", 3.0),)),
        State(Row("a", 1, "new"), "done", scores=(("other.x", 1.0),)),
        State(Row("a", 2, "failed"), "failed", "no"),
    ]
    old, new, failed = best.choose(tmp_path, states, best.judge("judge", {"judge": part()}), catalog, device="cpu")
    assert (old.scores, old.best) == ((("judge.first", 3.0),), False)
    assert (new.scores, new.best) == ((("other.x", 1.0), ("judge.first", 5.0)), True)
    assert (failed.scores, failed.best) == ((), False)
