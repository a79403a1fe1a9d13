"""The best of several runs, by a measure of a scorer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from df3d.batches.summary import State
from df3d.errors import ConfigError, RunError, did_you_mean
from df3d.evaluation.evaluate import evaluate
from df3d.evaluation.targets import find_targets
from df3d.plugin.catalog import Catalog
from df3d.plugin.records import ScorerPlugin
from df3d.recipe.plan import ConfiguredPart


@dataclass(frozen=True)
class Judge:
    """A scorer and the measure of it that counts."""

    name: str
    part: ConfiguredPart[ScorerPlugin]
    measure: str  # "scorer.measure"

    @property
    def lower(self) -> bool:
        """Whether a smaller number is better."""
        return self.measure.partition(".")[2] in self.part.plugin.lower


def judge(by: str, scorers: Mapping[str, ConfiguredPart[ScorerPlugin]]) -> Judge:
    """`SCORER` or `SCORER.MEASURE` as a person names it; without a measure it is the scorer's first headline."""
    name, _, measure = by.partition(".")
    part = scorers[name]
    return Judge(name, part, f"{name}.{measure or part.plugin.headline[0]}")


def ranked(runs: Sequence[Path], judge: Judge, catalog: Catalog, *, device: str) -> list[tuple[Path, float]]:
    """Finished runs and their measure, the best one first; each keeps its scores.json.

    Raises RunError when none could be scored.
    """
    scorer: Any = judge.part.plugin.build(judge.part.config, device=device)
    results = list(evaluate(find_targets(runs, catalog), {judge.name: scorer}, catalog, device=device))
    found = [
        (run, result.scores[judge.measure]) for run, result in zip(runs, results, strict=True) if judge.measure in result.scores
    ]
    if not found:
        known = [key for key in results[0].scores if key.startswith(f"{judge.name}.")]
        if known:
            raise ConfigError(f"scorer `{judge.name}` has no measure `{judge.measure}`", did_you_mean(judge.measure, known))
        why = results[0].problems.get(judge.name) or next(iter(results[0].problems.values()), "it says nothing of it")
        raise RunError(f"no run has a score `{judge.measure}`: {why}", "choose another with --best-by")
    return sorted(found, key=lambda pair: pair[1] if judge.lower else -pair[1])


def choose(folder: Path, found: Sequence[State], judge: Judge, catalog: Catalog, *, device: str) -> list[State]:
    """The same states, finished ones with their scores, and of each prompt the best marked."""
    new = [folder / state.row.folder for state in found if state.state == "done" and judge.measure not in dict(state.scores)]
    scores = dict(ranked(new, judge, catalog, device=device)) if new else {}
    known = {state.row.folder: dict(state.scores).get(judge.measure, scores.get(folder / state.row.folder)) for state in found}
    best: dict[tuple[object, ...], str] = {}
    for state in found:
        row, value = state.row, known[state.row.folder]
        key = (row.prompt, row.negative, row.recipe, row.settings)
        if value is None:
            continue
        leader = known.get(best.get(key, ""))
        if leader is None or (value < leader if judge.lower else value > leader):
            best[key] = row.folder
    chosen = set(best.values())
    return [replace(state, scores=_with(state, scores.get(folder / state.row.folder), judge), best=state.row.folder in chosen)
            for state in found]  # fmt: skip


def _with(state: State, value: float | None, judge: Judge) -> tuple[tuple[str, float], ...]:
    return state.scores if value is None else (*state.scores, (judge.measure, value))
