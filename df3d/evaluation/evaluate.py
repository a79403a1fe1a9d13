"""Scoring finished assets, one by one: what each scorer says of it, and why where it says nothing."""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from df3d.errors import Df3dError, RunError
from df3d.evaluation.protocol import VIEWS, protocol
from df3d.evaluation.results import Result
from df3d.evaluation.subject import TargetSubject
from df3d.evaluation.targets import Target
from df3d.plugin.catalog import Catalog
from df3d.protocols import Scorer
from df3d.run.rundir import LARGEST, RunDir
from df3d.system.files import is_plain, read_plain

logger = logging.getLogger("df3d")  # `--debug` shows what it is told


def evaluate(
    targets: Iterable[Target], scorers: Mapping[str, Scorer], catalog: Catalog, *, device: str = "cpu", views: int = VIEWS
) -> Iterator[Result]:
    """Score targets one by one. What cannot be scored is said in its result and stops nothing else."""
    known = {plugin.name: plugin.takes for plugin in catalog.scorers}
    for target in targets:
        subject = TargetSubject(target, catalog, device=device, views=views)
        scores: dict[str, float] = {}
        problems: dict[str, str] = {}
        try:
            if target.problem:
                raise RunError(target.problem)
            told = subject.asset.provenance
            seed = told.get("seed") if target.seed is None else target.seed
            seed = seed if type(seed) is int else None  # a stranger's file may say anything
            target = dataclasses.replace(target, prompt=subject.prompt, seed=seed)
        except Df3dError as error:
            problems["asset"] = error.message
        for name, scorer in scorers.items() if not problems else ():
            takes = known.get(name, frozenset({subject.asset.kind}))
            if subject.asset.kind not in takes:
                problems[name] = f"it takes {', '.join(sorted(takes))}, and this is {subject.asset.kind}"
                continue
            try:
                scores |= {f"{name}.{measure}": float(value) for measure, value in scorer.score(subject).items()}
            except Df3dError as error:
                problems[name] = error.message
            except (Exception, SystemExit) as error:  # a scorer may stumble over what a stranger's mesh holds
                logger.debug("scorer `%s` and `%s`", name, target.path, exc_info=True)
                problems[name] = f"{type(error).__name__}: {error} (--debug shows where)"
        notes = () if "asset" in problems else subject.asset.notes
        result = Result(target, scores, problems, protocol(views), notes)
        if target.run is not None and not target.problem:
            try:
                _keep(result, target.run)
            except RunError as error:
                result.problems["scores.json"] = error.message
        yield result


def _keep(result: Result, run: Path) -> None:
    """Leave scores.json beside the run; what other scorers said there of the same asset stays."""
    path, table = run / "scores.json", result.json()
    with suppress(
        OSError, ValueError, LookupError, AttributeError, TypeError, RecursionError
    ):  # not there, damaged, of another asset
        if is_plain(path) and path.stat().st_mtime >= result.target.path.stat().st_mtime:
            old = json.loads(read_plain(path, LARGEST))
            same = Path(old["asset"]).name == result.target.path.name  # wherever it was looked at from
            if same and all(old[key] == table[key] for key in ("protocol", "prompt")):
                table["scores"] = {**old["scores"], **table["scores"]}
    RunDir(run).write_text("scores.json", json.dumps(table, indent=2, ensure_ascii=False) + "\n")
