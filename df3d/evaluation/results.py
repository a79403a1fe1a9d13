"""What was found of each target."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from df3d.evaluation.protocol import PROTOCOL
from df3d.evaluation.targets import Target


@dataclass(frozen=True)
class Result:
    """What was found of one target."""

    target: Target
    scores: dict[str, float]  # "scorer.measure"
    problems: dict[str, str] = field(default_factory=dict)  # scorer, or "asset" -> why it has no scores
    protocol: str = PROTOCOL
    notes: tuple[str, ...] = ()  # what of the file is not drawn

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
            **({"notes": list(self.notes)} if self.notes else {}),
        }


def finite(numbers: Mapping[str, float]) -> dict[str, float | None]:
    """The same for JSON, which knows no NaN: None in its place."""
    return {name: number if math.isfinite(number) else None for name, number in numbers.items()}
