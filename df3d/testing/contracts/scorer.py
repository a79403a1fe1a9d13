"""What a scorer promises."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np

from df3d.evaluation.subject import TargetSubject
from df3d.evaluation.targets import Target
from df3d.plugin.records import (
    ScorerPlugin,
)
from df3d.testing.contracts.contract import Contract
from df3d.testing.fakes import an_asset


class ScorerContract(Contract):
    kind = "scorer"
    prompt: ClassVar[str] = "a red car"

    def exercise(self, config: Any) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder, "asset.glb")
            path.touch()
            subject = TargetSubject(Target(path, self.prompt), self.catalog, views=4, asset=an_asset(self.plugin.takes))
            self.plugin.build(config, device="cpu").score(subject)

    @property
    def plugin(self) -> ScorerPlugin:
        return self.catalog.scorers.get(self.name)

    def test_its_measures_are_numbers_and_the_same_twice(self, tmp_path: Path) -> None:
        path = tmp_path / "asset.glb"
        path.touch()
        first, second = (self._scored(path) for _ in range(2))
        assert first == second
        assert all(np.isfinite(value) for value in first.values())
        assert {*self.plugin.headline, *self.plugin.lower} <= set(first)

    def _scored(self, path: Path) -> dict[str, float]:
        subject = TargetSubject(Target(path, self.prompt), self.catalog, views=4, asset=an_asset(self.plugin.takes))
        return self.plugin.build(self.config, device="cpu").score(subject)
