"""Intervals and comparisons of numbers that are known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from df3d.errors import RunError
from df3d.evaluation.evaluate import Result
from df3d.evaluation.statistics import compare, interval, standard_error, summary
from df3d.evaluation.targets import Target


def result(prompt: str, seed: int | None, value: float) -> Result:
    return Result(Target(Path(f"{prompt}{seed}"), prompt, seed=seed), {"s.m": value})


def test_an_interval_holds_the_mean_and_narrows_with_more() -> None:
    values = list(np.random.default_rng(1).normal(3.0, 1.0, 400))
    few, many = interval(values[:25]), interval(values)
    assert few.low < few.mean < few.high
    assert abs((many.high - many.low) - 4 * 0.98 / 20) < 0.03  # mean +- 1.96 standard errors
    assert (few.high - few.low) > 2 * (many.high - many.low)
    alone = interval([2.0, float("nan")])
    assert (alone.mean, alone.low, alone.high, alone.count) == (2.0, 2.0, 2.0, 1)


def test_seeds_of_a_prompt_count_as_one() -> None:
    seeds = [result(prompt, seed, value) for prompt, value in (("a", 1.0), ("b", 3.0)) for seed in range(10)]
    assert summary(seeds)["s.m"] == summary([result("a", 0, 1.0), result("b", 0, 3.0)])["s.m"]
    assert summary(seeds)["s.m"].count == 2
    assert summary([result("A  b", 0, 1.0), result("a b", 1, 2.0), result("c", 0, 0.5)])["s.m"].mean == 1.0
    assert summary([result("a", 0, 1.0), result("a", 1, 2.0)])["s.m"].count == 2  # of one prompt alone, each counts
    assert summary([result("", None, 1.0), result("", 1, 2.0)])["s.m"].count == 2  # of no known prompt


def test_a_share_of_few_prompts_may_be_far_off() -> None:
    assert standard_error(summary([result(str(i), 0, 1.0) for i in range(100)])) == (
        "A share of 100 has a standard error of up to 5.0 points."
    )
    assert standard_error({}) == ""


def test_a_comparison_is_over_the_prompts_and_seeds_that_both_have() -> None:
    first = [result("a", 0, 1.0), result("a", 1, 5.0), result("b", 0, 2.0)]
    second = [result("b", 0, 2.5), result("a", 1, 5.5), result("c", 0, 100.0), result("", 0, 7.0)]
    found = compare(first, second)["s.m"]
    assert (found.mean, found.low, found.high, found.count) == (0.5, 0.5, 0.5, 2)
    with pytest.raises(RunError, match="has the same prompt and seed"):
        compare([*first, first[0]], second)
    with pytest.raises(RunError, match="share no prompt"):
        compare([*first, result("", 0, 1.0)], [result("z", 0, 1.0), result("", 0, 1.0)])


def test_meshes_without_a_seed_are_compared_with_the_mean_of_the_seeds() -> None:
    runs, meshes = [result("a", 0, 1.0), result("a", 1, 2.0)], [result("A", None, 4.0), result("a", None, 5.0)]
    assert compare(runs, meshes)["s.m"].mean == 3.0


def test_seeds_that_differ_widen_an_interval_as_prompts_do() -> None:
    rng = np.random.default_rng(0)
    prompts, noise = rng.normal(0, 0.01, 50), rng.normal(0, 0.01, (50, 3))
    far = summary([result(str(p), s, prompts[p] + (0.9, 0.5, 0.1)[s] + noise[p, s]) for p in range(50) for s in range(3)])["s.m"]
    near = summary([result(str(p), s, prompts[p] + 0.5 + noise[p, s]) for p in range(50) for s in range(3)])["s.m"]
    assert far.mean == pytest.approx(near.mean, abs=1e-9)
    assert far.low < 0.3 < 0.7 < far.high  # one seed in three may be the lucky one, three times
    assert near.high - near.low < 0.02
    assert (far.count, near.count) == (50, 50)


def test_seeds_that_differ_alike_on_both_sides_do_not_widen_a_comparison() -> None:
    first = [result(str(p), s, (0.9, 0.5, 0.1)[s]) for p in range(20) for s in range(3)]
    second = [result(str(p), s, (0.9, 0.5, 0.1)[s] + 0.05) for p in range(20) for s in range(3)]
    found = compare(first, second)["s.m"]
    assert found.mean == pytest.approx(0.05)
    assert found.high - found.low < 1e-9


def test_prompts_without_a_seed_that_both_have_are_compared_by_their_means() -> None:
    first = [result("a", 0, 1.0), result("a", 1, 3.0), result("b", 5, 1.0)]
    second = [result("a", 1, 4.0), result("b", 6, 3.0)]
    found = compare(first, second)["s.m"]
    assert (found.mean, found.count) == (1.5, 2)


def test_a_measure_that_some_lack_is_a_mean_of_the_others() -> None:
    some = [
        result("a", 0, 1.0),
        result("a", 1, float("nan")),
        result("b", 0, 2.0),
        result("b", 1, 4.0),
        result("c", 0, float("nan")),
    ]
    found = summary(some)["s.m"]
    assert (found.mean, found.count) == (2.0, 2)
    assert found.low >= 1.0
    assert found.high <= 4.0


def test_an_interval_is_of_95_in_100_and_the_same_each_time() -> None:
    """Of a normal sample: 1.96 standard errors to either side, within what 2000 draws are off."""
    values = list(np.random.default_rng(7).normal(0.0, 1.0, 400))
    found, again = interval(values), interval(values)
    assert found == again
    error = np.std(values) / 20
    assert (found.high - found.low) / (2 * error) == pytest.approx(1.96, abs=0.1)
    assert (found.high + found.low) / 2 == pytest.approx(found.mean, abs=0.2 * error)


def test_nothing_has_no_mean() -> None:
    for values in ([], [float("nan")], [float("inf")]):
        none = interval(values)
        assert none.count == 0
        assert all(np.isnan(number) for number in (none.mean, none.low, none.high))


def test_an_error_is_said_of_the_most_prompts_and_not_of_one() -> None:
    assert standard_error(summary([result("a", 0, 1.0)])) == ""
    two = summary([result("a", 0, 1.0), result("b", 0, 1.0), Result(Target(Path("c"), "c", seed=0), {"s.other": 1.0})])
    assert standard_error(two) == "A share of 2 has a standard error of up to 35.4 points."


def test_what_could_not_be_scored_counts_for_nothing() -> None:
    blank = Result(Target(Path("c"), "c", seed=0), {}, {"asset": "damaged"})
    assert summary([result("a", 0, 1.0), result("a", 1, 3.0), blank])["s.m"].count == 2  # of one prompt alone, each counts
    assert compare([result("a", 0, 1.0), blank], [result("a", 0, 2.0), blank])["s.m"].mean == 1.0


def test_a_measure_that_one_side_lacks_is_not_compared() -> None:
    first = [Result(Target(Path("a"), "a", seed=0), {"s.m": 1.0, "s.old": 1.0})]
    second = [Result(Target(Path("a"), "a", seed=0), {"s.m": 3.0, "s.new": 1.0})]
    assert list(compare(first, second)) == ["s.m"]


def test_a_prompt_of_which_a_seed_is_there_twice_is_the_mean_of_all() -> None:
    twice = [result("a", 0, 1.0), result("a", 0, 2.0), result("a", 1, 6.0), result("b", 0, 5.0)]
    assert summary(twice)["s.m"].mean == pytest.approx((3.0 + 5.0) / 2)


def test_those_without_a_prompt_are_not_compared_whatever_their_names() -> None:
    with pytest.raises(RunError, match="share no prompt") as error:
        compare([Result(Target(Path("x"), ""), {"s.m": 1.0})], [Result(Target(Path("x"), ""), {"s.m": 2.0})])
    assert "--prompts" in error.value.hint


def test_meshes_without_a_seed_are_paired_by_their_means_though_some_have_one() -> None:
    first = [result("a", None, 1.0), result("a", None, 3.0), result("a", 4, 5.0)]
    second = [result("a", None, 10.0), result("a", 5, 20.0)]
    assert compare(first, second)["s.m"].mean == pytest.approx(15.0 - 3.0)
