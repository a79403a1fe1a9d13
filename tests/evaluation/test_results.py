"""What is written of a target."""

from __future__ import annotations

from pathlib import Path

from df3d.evaluation.results import Result, finite
from df3d.evaluation.targets import Target


def test_a_result_tells_all_that_is_known_of_its_target() -> None:
    target = Target(Path("run/asset.glb"), "a box", run=Path("run"), seed=0)
    assert Result(target, {"s.m": 1.0}, {"t": "no"}, "df3d-1/views=4", ("a note",)).json() == {
        "protocol": "df3d-1/views=4", "target": "run", "asset": "run/asset.glb", "run": "run", "prompt": "a box", "seed": 0,
        "scores": {"s.m": 1.0}, "problems": {"t": "no"}, "notes": ["a note"],
    }  # fmt: skip
    plain = Result(Target(Path("a.glb"), ""), {}).json()
    assert (plain["target"], plain["run"], plain["seed"], plain["protocol"]) == ("a.glb", None, None, "df3d-1")
    assert "notes" not in plain


def test_what_json_does_not_know_is_nothing() -> None:
    inf = float("inf")
    assert finite({"a": 1.5, "b": float("nan"), "c": inf, "d": -inf}) == {"a": 1.5, "b": None, "c": None, "d": None}
