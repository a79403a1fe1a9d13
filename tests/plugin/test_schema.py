from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal

import pytest

from df3d.errors import ConfigError
from df3d.plugin.schema import describe, described_range, dump, option, options_of, parse
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


@dataclass(frozen=True, kw_only=True)
class Ranged:
    pair: tuple[float, float] = option((0.0, 1.0), "two", low=0.0, high=2.0)
    weight: Schedule = option(Schedule(1.0), "along the way", low=0.0, high=5.0)
    many: tuple[int, ...] = option((1,), "some", low=1, high=3)
    on: bool = option(True, "no number", low=5, high=6)
    least: float = option(3.0, "from here on", low=2.0)
    most: float = option(3.0, "up to here", high=4000.0)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"pair": [0.0, 3.0]}, "`p.pair` must be between 0.0 and 2.0, not 3.0"),
        ({"pair": [-1.0, 0.0]}, "`p.pair` must be between 0.0 and 2.0, not -1.0"),
        ({"weight": 6}, "`p.weight` must be between 0.0 and 5.0, not 6.0"),
        ({"weight": {"start": 1.0, "end": 6.0}}, "`p.weight` must be between 0.0 and 5.0, not 6.0"),
        ({"many": [1, 2, 4]}, "`p.many` must be between 1 and 3, not 4"),
        ({"many": [1, "two"]}, "`p.many[1]` must be a whole number, not `two`"),
        ({"pair": [1.0, "two"]}, "`p.pair[1]` must be a number, not `two`"),
        ({"least": 1.5}, "`p.least` must be at least 2.0, not 1.5"),
        ({"most": 4001.0}, "`p.most` must be at most 4,000.0, not 4001.0"),
    ],
)
def test_each_number_of_several_has_to_be_in_range(table: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(Ranged, table, "p")
    assert error.value.message == message


def test_true_and_false_have_no_range() -> None:
    assert parse(Ranged, {"on": False}).on is False


def test_ranges_are_told_as_people_say_them() -> None:
    assert described_range(1, 20_000) == "between 1 and 20,000"
    assert (described_range(2, None), described_range(None, 3000), described_range(None, None)) == (
        "at least 2",
        "at most 3,000",
        "",
    )


@dataclass(frozen=True, kw_only=True)
class Aged:
    size: int = option(3, "how large")
    old: float = option(1.0, "nothing", deprecated="`size` says it")


def test_what_is_deprecated_warns_where_it_says_something_and_is_not_written() -> None:
    assert parse(Aged, {"size": 4, "old": 1.0}) == Aged(size=4)
    with pytest.warns(DeprecationWarning, match="`p.old` is deprecated: `size` says it"):
        assert parse(Aged, {"old": 2.0}, "p").old == 2.0
    assert dump(Aged(old=2.0)) == {"size": 3}
    assert [row["name"] for row in options_of(Aged)] == ["size"]


@dataclass(frozen=True, kw_only=True)
class Middle:
    inner: Inner = option(Inner(), "the inner one")
    aim: Schedule = option(Schedule(0.5), "constant", low=0.0, high=1.0)
    move: Schedule = option(Schedule(1.0, 0.0), "it falls")


@dataclass(frozen=True, kw_only=True)
class Deep:
    middle: Middle = option(Middle(), "the middle one")
    size: int = option(3, "how large", low=1, high=2000)


def test_options_of_tables_have_their_whole_path() -> None:
    assert options_of(Deep) == [
        {"name": "middle.inner.width", "default": 3, "type": "a whole number", "help": "how wide"},
        {"name": "middle.aim", "default": 0.5,
         "type": "a number or a table { start, end, since, until }, between 0.0 and 1.0", "help": "constant"},
        {"name": "middle.move", "default": Schedule(1.0, 0.0), "type": "a number or a table { start, end, since, until }",
         "help": "it falls"},
        {"name": "size", "default": 3, "type": "a whole number, between 1 and 2,000", "help": "how large"},
    ]  # fmt: skip


def test_types_are_told_as_people_say_them() -> None:
    told = {int | None: "a whole number", tuple[str, ...]: "a list of texts", tuple[int, int]: "a list of numbers"}
    told |= {
        Literal["a", "b"]: "one of `a`, `b`",
        dict[str, float]: "a table",
        int | tuple[float, float]: "a whole number or a list of numbers",
    }
    told |= {Inner: "a table of width"}
    assert {kind: describe(kind) for kind in told} == told


@dataclass(frozen=True, kw_only=True)
class Loose:
    weights: dict[str, float] = dataclasses.field(default_factory=dict)
    either: int | tuple[int, int] = 3
    big: float = 1.0


def test_tables_and_choices_of_types_are_checked_inside() -> None:
    assert parse(Loose, {"weights": {"a": 1}, "either": [1, 2]}) == Loose(weights={"a": 1.0}, either=(1, 2))
    for table, message in (
        ({"weights": {"a": "x"}}, "`p.weights.a` must be a number, not `x`"),
        ({"weights": 3}, "`p.weights` must be a table, not `3`"),
        ({"either": "x"}, "`p.either` must be a whole number or a list of numbers, not `x`"),
        ({"big": 10**400}, "`p.big` must be a number"),
    ):
        with pytest.raises(ConfigError) as error:
            parse(Loose, table, "p")
        assert error.value.message.startswith(message)


@dataclass(frozen=True, kw_only=True)
class Optional:
    pair: tuple[float, float] | None = None


def test_a_mistake_inside_what_may_be_left_out_is_told_as_it_is() -> None:
    with pytest.raises(ConfigError, match=r"`p.pair` needs 2 values, not 3"):
        parse(Optional, {"pair": [1, 2, 3]}, "p")
