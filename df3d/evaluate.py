"""Scoring finished assets: how they are shown to scorers, and what became of each.

The protocol (docs/reference/protocol.md) is one for all: scorers see the pictures that `Subject` draws, and every output
names the protocol's version.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from df3d.cameras import orbit
from df3d.catalog import Catalog
from df3d.errors import Df3dError, RunError
from df3d.export import read
from df3d.finished import FinishedField, fitted, surface_renderer
from df3d.interfaces import Scorer
from df3d.rundir import RunDir
from df3d.statistics import finite
from df3d.targets import Target, plain
from df3d.types import Asset, Cameras

PROTOCOL = "df3d-1"
VIEWS, SIZE, ELEVATION, DISTANCE, FOV_Y = 12, 256, 15.0, 3.0, 35.0
AMBIENT, BACKGROUND = 0.5, 1.0


class Subject:
    """A target as scorers see it: read, moved and scaled into the unit ball, and drawn when they ask for it.

    With `asset` that one is seen, and no file is read.
    """

    def __init__(
        self, target: Target, catalog: Catalog, *, device: str = "cpu", views: int = VIEWS, asset: Asset | None = None
    ) -> None:
        self.target = target
        self._catalog, self._device, self._views, self._asset = catalog, device, views, asset

    @cached_property
    def asset(self) -> Asset:
        """As it is in the file."""
        return self._asset or read(self.target.path, self._catalog)

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
        return self._drawn[..., :3]

    @cached_property
    def opacity(self) -> Tensor:
        """(V, H, W): where the object is in them."""
        return self._drawn[..., 3]

    @cached_property
    def _drawn(self) -> Tensor:
        return self.draw(self.cameras)

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
            "scores": finite(self.scores),
            "problems": self.problems,
        }


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
            same = Path(old["asset"]).name == result.target.path.name  # wherever it was looked at from
            if same and all(old[key] == table[key] for key in ("protocol", "prompt")):
                table["scores"] = {**old["scores"], **table["scores"]}
    RunDir(run).write_text("scores.json", json.dumps(table, indent=2, ensure_ascii=False) + "\n")
