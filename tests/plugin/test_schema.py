from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pytest

from df3d.errors import ConfigError
from df3d.plugin.schema import dump, option, parse
from df3d.schedule import Schedule


@dataclass(frozen=True, kw_only=True)
class Inner:
    width: int = option(3, "how wide")


@dataclass(frozen=True, kw_only=True)
class Outer:
    rate: float = 0.5
    count: int = 1
    kind: Literal["a", "b"] = "a"
    limit: float | None = None
    pair: tuple[float, float] = (0.0, 1.0)
    on: bool = True
    weight: Schedule = Schedule(1.0)
    inner: Inner = Inner()


def test_a_table_becomes_a_config_and_back() -> None:
    table = {"rate": 2, "pair": [1, 2.5], "inner": {"width": 7}, "weight": {"start": 1.0, "end": 0.0}, "limit": 3}
    config = parse(Outer, table)
    assert config == Outer(rate=2.0, pair=(1.0, 2.5), inner=Inner(width=7), weight=Schedule(1.0, 0.0), limit=3.0)
    assert parse(Outer, dump(config)) == config


@pytest.mark.parametrize(
    ("table", "message", "hint"),
    [
        ({"rat": 1}, "unknown key `p.rat`", "did you mean `rate`?"),
        ({"rate": "fast"}, "`p.rate` must be a number, not `fast`", ""),
        ({"rate": True}, "`p.rate` must be a number, not `True`", ""),
        ({"rate": float("nan")}, "`p.rate` must be a number, not `nan`", ""),
        ({"count": 1.5}, "`p.count` must be a whole number, not `1.5`", ""),
        ({"kind": "c"}, "`p.kind` cannot be `c`", "choose from `a`, `b`"),
        ({"pair": [1]}, "`p.pair` needs 2 values, not 1", ""),
        ({"pair": 1}, "`p.pair` must be a list of numbers, not `1`", ""),
        ({"on": 1}, "`p.on` must be true or false, not `1`", ""),
        ({"inner": {"widht": 1}}, "unknown key `p.inner.widht`", "did you mean `width`?"),
        ({"inner": 4}, "`p.inner` must be a table of width, not `4`", ""),
        ({"weight": {"end": 1.0}}, "key `p.weight.start` is missing", "add it to `p.weight`"),
        ({"limit": "x"}, "`p.limit` must be a number, not `x`", ""),
    ],
)
def test_a_mistake_names_its_path(table: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(Outer, table, "p")
    assert error.value.message == message
    assert error.value.hint == hint


@dataclass(frozen=True, kw_only=True)
class Bounded:
    count: int = option(3, "how many", low=1, high=8)
    share: float = option(0.5, "how much", low=0.0, high=1.0)


@pytest.mark.parametrize("table", [{"count": 1}, {"count": 8}, {"share": 0.0}, {"share": 1.0}])
def test_bounds_belong_to_the_range(table: dict[str, object]) -> None:
    (name, value), *_ = table.items()
    assert getattr(parse(Bounded, table), name) == value


@pytest.mark.parametrize("table", [{"count": 0}, {"count": 9}, {"share": -0.001}, {"share": 1.001}, {"share": float("inf")}])
def test_beyond_the_bounds_is_a_mistake(table: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        parse(Bounded, table)
