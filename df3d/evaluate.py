"""Scoring finished assets: which there are, how they are shown to scorers, and what the numbers of many say together.

The protocol (docs/reference/protocol.md) is one for all: scorers see the pictures that `Subject` draws, and every output
names the protocol's version.
"""

from __future__ import annotations

import csv
import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from df3d.cameras import orbit
from df3d.catalog import Catalog
from df3d.errors import ConfigError, Df3dError, RunError
from df3d.export import read, readers
from df3d.finished import FinishedField, fitted, surface_renderer
from df3d.interfaces import Scorer
from df3d.rundir import RunDir
from df3d.types import Asset, Cameras

PROTOCOL = "df3d-1"
VIEWS, SIZE, ELEVATION, DISTANCE, FOV_Y = 12, 256, 15.0, 3.0, 35.0
AMBIENT, BACKGROUND = 0.5, 1.0
DRAWS = 2000  # of the bootstrap


@dataclass(frozen=True)
class Target:
    """Something to score: a mesh file, the run it belongs to if there is one, and what it should show."""

    path: Path
    prompt: str
    run: Path | None = None
    seed: int | None = None
    problem: str = ""  # why it cannot be scored, when that is known before it is read

    @property
    def name(self) -> str:
        return str(self.run or self.path)


class Subject:
    """A target as scorers see it: read, moved and scaled into the unit ball, and drawn when they ask for it."""

    def __init__(self, target: Target, catalog: Catalog, *, device: str = "cpu", views: int = VIEWS) -> None:
        self.target = target
        self._catalog, self._device, self._views = catalog, device, views

    @cached_property
    def asset(self) -> Asset:
        """As it is in the file."""
        return read(self.target.path, self._catalog)

    @cached_property
    def fitted(self) -> Asset:
        """Moved and scaled into the unit ball."""
        return dataclasses.replace(self.asset, mesh=fitted(self.asset.mesh))

    @cached_property
    def prompt(self) -> str:
        """The target's or, where it has none, the one that stands in the file; "" where neither is known."""
        return self.target.prompt or plain(str(self.asset.provenance.get("prompt", "")))

    @cached_property
    def cameras(self) -> Cameras:
        """The protocol's: evenly around, the first from the front."""
        return orbit(self._views, elevation=ELEVATION, distance=DISTANCE, fov_y=FOV_Y, size=SIZE)

    @cached_property
    def color(self) -> Tensor:
        """(V, H, W, 3): the protocol's pictures."""
        return self.draw(self.cameras)[..., :3]

    @cached_property
    def geometry(self) -> Tensor:
        """(V, H, W, 3): the same without colour ("geo")."""
        return self.draw(self.cameras, textureless=True)[..., :3]

    def draw(
        self, cameras: Cameras, *, textureless: bool = False, background: float = BACKGROUND, ambient: float = AMBIENT
    ) -> Tensor:
        """(V, H, W, 4) colour and opacity under a light at the camera: albedo * (ambient + (1 - ambient) * max(0, n . l))."""
        light = {"albedo_until": 0.0, "lambertian": 1.0, "ambient": ambient, "diffuse": 1 - ambient, "light": "head"}
        options = {"background_color": [background] * 3, "shading": light}
        renderer = surface_renderer(self._catalog, options, device=self._device)
        drawn_field = FinishedField(self.fitted, device=self._device, textureless=textureless)
        parts = []
        with torch.no_grad():
            for i in range(len(cameras)):
                view = renderer.render(drawn_field, cameras[i : i + 1].to(self._device))
                parts.append(torch.cat([view.rgb, view.opacity], dim=-1).cpu())
        return torch.cat(parts)


@dataclass(frozen=True)
class Result:
    """What was found of one target."""

    target: Target
    scores: dict[str, float]  # "scorer.measure"
    problems: dict[str, str] = field(default_factory=dict)  # scorer, or "asset" -> why it has no scores
    protocol: str = PROTOCOL

    def json(self) -> dict[str, Any]:
        run, target = self.target.run, self.target
        return {
            "protocol": self.protocol,
            "target": target.name,
            "asset": str(target.path),
            "run": None if run is None else str(run),
            "prompt": target.prompt,
            "seed": target.seed,
            "scores": self.scores,
            "problems": self.problems,
        }


@dataclass(frozen=True)
class Interval:
    """A mean over targets, and where it would lie in 95 of 100 repetitions with other targets."""

    mean: float
    low: float
    high: float
    count: int


def evaluate(
    targets: Iterable[Target], scorers: Mapping[str, Scorer], catalog: Catalog, *, device: str = "cpu", views: int = VIEWS
) -> Iterator[Result]:
    """Score targets one by one. What cannot be scored is said in its result and stops nothing else."""
    for target in targets:
        subject = Subject(target, catalog, device=device, views=views)
        scores: dict[str, float] = {}
        problems: dict[str, str] = {}
        try:
            if target.problem:
                raise RunError(target.problem)
            told = subject.asset.provenance
            seed = told.get("seed") if target.seed is None else target.seed
            target = dataclasses.replace(target, prompt=subject.prompt, seed=seed)
        except Df3dError as error:
            problems["asset"] = error.message
        for name, scorer in scorers.items() if not problems else ():
            try:
                scores |= {f"{name}.{measure}": float(value) for measure, value in scorer.score(subject).items()}
            except Df3dError as error:
                problems[name] = error.message
            except Exception as error:  # a scorer may stumble over what a stranger's mesh holds
                problems[name] = f"{type(error).__name__}: {error}"
        result = Result(target, scores, problems, protocol(views))
        if target.run is not None and not target.problem:
            try:
                _keep(result, target.run)
            except RunError as error:
                result.problems["scores.json"] = error.message
        yield result


def protocol(views: int) -> str:
    """The name of what was measured: the protocol's version, and how it was departed from."""
    return PROTOCOL if views == VIEWS else f"{PROTOCOL}/views={views}"


def _keep(result: Result, run: Path) -> None:
    """Leave scores.json beside the run; what other scorers said there of the same asset stays."""
    path, table = run / "scores.json", result.json()
    with suppress(OSError, ValueError, LookupError, AttributeError, TypeError):  # not there, damaged, or without its asset
        if path.stat().st_mtime >= result.target.path.stat().st_mtime:
            old = json.loads(path.read_text(encoding="utf-8"))
            if all(old[key] == table[key] for key in ("protocol", "asset", "prompt")):
                table["scores"] = {**old["scores"], **table["scores"]}
    RunDir(run).write_text("scores.json", json.dumps(table, indent=2, ensure_ascii=False) + "\n")


def find_targets(
    paths: Sequence[Path], catalog: Catalog, *, prompt: str | None = None, prompts: Path | None = None
) -> list[Target]:
    """Run folders, mesh files, and folders of either (with a prompts.csv or prompts.jsonl of `path` and `prompt`).

    A prompt comes from `prompt`, the list, or the run; "" where it may stand in the file itself. Raises RunError when a path
    is none of these, and ConfigError when a list cannot be read.
    """
    listed = read_prompts(prompts) if prompts is not None else {}
    found: list[Target] = []
    for path in paths:
        found += _targets(path, catalog, listed)
    if not found:
        raise RunError(f"there is nothing to score in {', '.join(f'`{path}`' for path in paths)}", "give runs or mesh files")
    return [dataclasses.replace(target, prompt=plain(target.prompt if prompt is None else prompt)) for target in found]


def _targets(path: Path, catalog: Catalog, listed: Mapping[str, str]) -> list[Target]:
    if (path / "run.json").is_file():
        run = RunDir(path)
        try:
            manifest, asset = run.manifest(), run.asset()
        except RunError as error:
            return [Target(path / "asset.glb", _listed(path, listed), run=path, problem=error.message)]
        prompt = _listed(path, listed) or str(manifest.get("prompt", ""))
        return [Target(asset or path / "asset.glb", prompt, run=path, seed=manifest.get("seed"))]
    if path.is_dir():
        for name in ("prompts.csv", "prompts.jsonl"):
            if (path / name).is_file():
                inside_it = read_prompts(path / name)
                listed = {**inside_it, **{str(path / where): prompt for where, prompt in inside_it.items()}, **listed}
        inside = sorted(child for child in path.iterdir() if child.suffix.lower() in readers(catalog) or child.is_dir())
        return [target for child in inside for target in _targets(child, catalog, listed)]
    if path.suffix.lower() not in readers(catalog):
        raise RunError(f"`{path}` is neither a run nor a mesh file", f"known are {', '.join(sorted(readers(catalog)))}")
    return [Target(path, _listed(path, listed))]


def _listed(path: Path, listed: Mapping[str, str]) -> str:
    """The prompt of a list's row for a path as it was given, or for its name; "" without one."""
    return listed.get(str(path)) or listed.get(path.name) or ""


def plain(text: str) -> str:
    """Text that a terminal and a page show as it is: spaces in place of control characters."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def read_prompts(path: Path) -> dict[str, str]:
    """Prompts by file or run name, from CSV with the columns `path` and `prompt`, or JSON lines with these keys.

    Raises ConfigError with the line that is wrong.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        rows = [json.loads(line) for line in lines if line.strip()] if path.suffix == ".jsonl" else list(csv.DictReader(lines))
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(f"prompts cannot be read from `{path}`: {error}", "give CSV or JSON lines") from None
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, dict) or not row.get("path") or not row.get("prompt"):
            raise ConfigError(f"row {number} of `{path}` lacks `path` or `prompt`", "give both in every row")
    return {str(row["path"]): str(row["prompt"]) for row in rows}


def summary(results: Sequence[Result]) -> dict[str, Interval]:
    """The mean of every measure over the targets that have it, with a bootstrap confidence interval."""
    return {measure: interval(values) for measure, values in _columns(results).items()}


def compare(first: Sequence[Result], second: Sequence[Result]) -> dict[str, Interval]:
    """Second less first, over targets with the same prompt and seed: means of the paired differences.

    Raises RunError when nothing can be paired, or when it is not clear what with what.
    """

    def keyed(results: Sequence[Result]) -> dict[tuple[str, int | None], Result]:
        found: dict[tuple[str, int | None], Result] = {}
        for result in results:
            key = (result.target.prompt, result.target.seed)
            if not key[0] or key in found:
                raise RunError(
                    f"`{result.target.name}` cannot be paired: "
                    + ("its prompt is not known" if not key[0] else f"`{found[key].target.name}` has the same prompt and seed"),
                    "name the prompts with --prompts, and give one asset of each on either side",
                )
            found[key] = result
        return found

    before, after = keyed(first), keyed(second)
    pairs = [(before[key], after[key]) for key in before if key in after]
    if not pairs:
        raise RunError("the two sides share no prompt and seed", "score runs of the same prompts and seeds on both sides")
    differences: dict[str, list[float]] = {}
    for old, new in pairs:
        for measure in old.scores:
            if measure in new.scores:
                differences.setdefault(measure, []).append(new.scores[measure] - old.scores[measure])
    return {measure: interval(values) for measure, values in differences.items()}


def interval(values: Sequence[float]) -> Interval:
    """Mean and percentile bootstrap interval (Efron, 1979) of the finite values, with 2000 draws from a fixed seed."""
    array = np.asarray([value for value in values if np.isfinite(value)], float)
    if not len(array):
        return Interval(float("nan"), float("nan"), float("nan"), 0)
    drawn = np.random.default_rng(0).choice(array, (DRAWS, len(array))).mean(1)
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Interval(float(array.mean()), float(low), float(high), len(array))


def _columns(results: Sequence[Result]) -> dict[str, list[float]]:
    columns: dict[str, list[float]] = {}
    for result in results:
        for measure, value in result.scores.items():
            columns.setdefault(measure, []).append(value)
    return columns
