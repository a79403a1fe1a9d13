"""What the numbers of many assets say together: means and paired differences, with bootstrap intervals over prompts and seeds.

All prompts of a seed share its cameras and noise, and all seeds of a prompt its difficulty: drawing prompts alone says too little
of what another seed would bring. So both are drawn anew, independently (the pigeonhole bootstrap: Owen, arXiv 0712.1111).
"""

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
    """A mean over prompts, and where it would lie in 95 of 100 repetitions with other prompts and seeds."""

    mean: float
    low: float
    high: float
    count: int  # of prompts


def interval(values: Iterable[float]) -> Interval:
    """Mean and percentile bootstrap interval (Efron, 1979) of the finite values, with 2000 draws from a fixed seed."""
    return _interval(np.asarray([value for value in values if np.isfinite(value)], float)[:, None])


def _interval(table: np.ndarray) -> Interval:
    """Of a table (prompts, seeds), NaN where there is no value: the mean over prompts, each the mean of its seeds."""
    table = table[np.isfinite(table).any(1)]
    if not len(table):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    rng, (rows, columns) = np.random.default_rng(0), table.shape
    prompts = rng.multinomial(rows, np.full(rows, 1 / rows), DRAWS)  # how often each is drawn
    seeds = rng.multinomial(columns, np.full(columns, 1 / columns), DRAWS)
    drawn = _means(table, prompts, seeds)
    low, high = np.percentile(drawn[np.isfinite(drawn)], [2.5, 97.5])
    (mean,) = _means(table, np.ones((1, rows)), np.ones((1, columns)))
    return Interval(float(mean), float(low), float(high), rows)


def _means(table: np.ndarray, prompts: np.ndarray, seeds: np.ndarray) -> np.ndarray:
    """(D,) means over prompts that count `prompts` (D, P) times, each the mean of its seeds, which count `seeds` (D, S) times."""
    known = np.isfinite(table)
    total, count = np.where(known, table, 0.0) @ seeds.T, known.astype(float) @ seeds.T  # (P, D)
    weight = prompts.T * (count > 0)
    with np.errstate(invalid="ignore"):
        return np.asarray((weight * total / np.maximum(count, 1e-9)).sum(0) / weight.sum(0))


def summary(results: Sequence[Result]) -> dict[str, Interval]:
    """The mean of every measure over the prompts, with its interval.

    Targets of one prompt are averaged first, since they are not independent; where all have the same prompt, each counts.
    """
    groups = list(_by_prompt(results).values())
    if len(groups) == 1:
        groups = [[result] for result in results]
    measures = dict.fromkeys(measure for result in results for measure in result.scores)
    seeds = _seeds(groups)
    return {measure: _interval(_table(groups, measure, seeds)) for measure in measures}


def _seeds(groups: Sequence[Sequence[Result]]) -> list[int]:
    """All seeds of targets, in order; none where some have no seed, or a prompt has one twice."""
    seeds = [[result.target.seed for result in group] for group in groups]
    if any(None in some or len(set(some)) < len(some) for some in seeds):
        return []
    return sorted({seed for some in seeds for seed in some if seed is not None})


def _table(groups: Sequence[Sequence[Result]], measure: str, seeds: Sequence[int]) -> np.ndarray:
    """(prompts, seeds) of a measure; one column of means without seeds."""
    table = np.full((len(groups), max(len(seeds), 1)), np.nan)
    for row, group in enumerate(groups):
        for result in group:
            if result.target.seed in seeds:
                table[row, seeds.index(result.target.seed)] = result.scores.get(measure, np.nan)
        if not seeds and (mean := _mean(group, measure)) is not None:
            table[row] = mean
    return table


def compare(first: Sequence[Result], second: Sequence[Result]) -> dict[str, Interval]:
    """Second less first, over the prompts that both have, with intervals.

    A side's targets of one prompt are paired by the seeds that both sides have, or averaged where they share none.
    Targets without a prompt or without scores are left out. Raises RunError when no prompt is shared, or when a side has
    a prompt and seed twice.
    """
    before, after = _by_prompt(first, seeds_once=True), _by_prompt(second, seeds_once=True)
    shared = [prompt for prompt in before if prompt in after and not prompt.startswith("\n")]
    if not shared:
        raise RunError("the two sides share no prompt", "score the same prompts on both; --prompts says what meshes show")
    old, new = ([side[prompt] for prompt in shared] for side in (before, after))
    for row, (a, b) in enumerate(zip(old, new, strict=True)):
        seeds = {result.target.seed for result in a} & {result.target.seed for result in b} - {None}
        if seeds:
            old[row], new[row] = ([result for result in side if result.target.seed in seeds] for side in (a, b))
    measures = dict.fromkeys(measure for group in old for result in group for measure in result.scores)
    all_seeds = sorted({*_seeds(old), *_seeds(new)}) if _seeds(old) and _seeds(new) else []
    found = {}
    for measure in measures:
        table = _table(new, measure, all_seeds) - _table(old, measure, all_seeds)
        means = (_table(new, measure, ()) - _table(old, measure, ()))[:, 0]
        unpaired = ~np.isfinite(table).any(1)  # prompts without a seed that both have
        table[unpaired] = means[unpaired, None]
        found[measure] = _interval(table)
    return {measure: value for measure, value in found.items() if value.count}


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
