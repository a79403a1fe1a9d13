"""What the numbers of many assets say together: means and paired differences, with bootstrap intervals over the prompts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from df3d.errors import RunError
from df3d.evaluation.results import Result
from df3d.prompt import normalised

DRAWS = 2000


@dataclass(frozen=True)
class Interval:
    """A mean over prompts, and where it would lie in 95 of 100 repetitions with other prompts."""

    mean: float
    low: float
    high: float
    count: int


def interval(values: Iterable[float]) -> Interval:
    """Mean and percentile bootstrap interval (Efron, 1979) of the finite values, with 2000 draws from a fixed seed."""
    array = np.asarray([value for value in values if np.isfinite(value)], float)
    if not len(array):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    drawn = np.random.default_rng(0).choice(array, (DRAWS, len(array))).mean(1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(float(array.mean()), float(low), float(high), len(array))


def summary(results: Sequence[Result]) -> dict[str, Interval]:
    """The mean of every measure over the prompts, with its interval.

    Targets of one prompt are averaged first, since they are not independent; where all have the same prompt, each counts.
    """
    groups = list(_by_prompt(results).values())
    if len(groups) == 1:
        groups = [[result] for result in results]
    measures = dict.fromkeys(measure for result in results for measure in result.scores)
    return {measure: interval(mean for group in groups if (mean := _mean(group, measure)) is not None) for measure in measures}


def compare(first: Sequence[Result], second: Sequence[Result]) -> dict[str, Interval]:
    """Second less first, over the prompts that both have, with intervals.

    A side's targets of one prompt are averaged: those of the seeds that both sides have, or all where they share none.
    Targets without a prompt or without scores are left out. Raises RunError when no prompt is shared, or when a side has
    a prompt and seed twice.
    """
    before, after = _by_prompt(first, seeds_once=True), _by_prompt(second, seeds_once=True)
    shared = [prompt for prompt in before if prompt in after and not prompt.startswith("\n")]
    if not shared:
        raise RunError("the two sides share no prompt", "score the same prompts on both; --prompts says what meshes show")
    differences: dict[str, list[float]] = {}
    for prompt in shared:
        old, new = before[prompt], after[prompt]
        seeds = {result.target.seed for result in old} & {result.target.seed for result in new}
        if seeds:
            old, new = ([result for result in side if result.target.seed in seeds] for side in (old, new))
        for measure in dict.fromkeys(measure for result in old for measure in result.scores):
            ends = _mean(old, measure), _mean(new, measure)
            if ends[0] is not None and ends[1] is not None:
                differences.setdefault(measure, []).append(ends[1] - ends[0])
    return {measure: interval(values) for measure, values in differences.items()}


def standard_error(means: Mapping[str, Interval]) -> str:
    """A sentence on how far the mean of a share, such as R-Precision, may be off by chance."""
    count = max((value.count for value in means.values()), default=0)
    return f"A share of {count} has a standard error of up to {50 / count**0.5:.1f} points." if count > 1 else ""


def _by_prompt(results: Sequence[Result], *, seeds_once: bool = False) -> dict[str, list[Result]]:
    """Results with scores, by prompt, whatever its case and spaces; those without a prompt stand alone."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        if not result.scores:
            continue
        prompt = normalised(result.target.prompt)
        group = groups.setdefault(prompt or f"\n{result.target.name}", [])
        for other in group if seeds_once and result.target.seed is not None else ():
            if other.target.seed == result.target.seed:
                raise RunError(
                    f"`{result.target.name}` cannot be paired: `{other.target.name}` has the same prompt and seed",
                    "give one asset of each on either side",
                )
        group.append(result)
    return groups


def _mean(results: Sequence[Result], measure: str) -> float | None:
    values = [value for result in results if np.isfinite(value := result.scores.get(measure, np.nan))]
    return float(np.mean(values)) if values else None
