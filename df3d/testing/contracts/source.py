"""What a source promises."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar

import numpy as np
import torch

from df3d.plugin.records import (
    SourcePlugin,
)
from df3d.testing.contracts.contract import Contract
from df3d.testing.fakes import a_prompt
from df3d.types import Asset, MeshAsset


class SourceContract(Contract):
    kind = "source"
    prompt: ClassVar[str] = "a red car"

    def exercise(self, config: Any) -> None:
        with TemporaryDirectory() as folder:
            self.plugin.build(config, device="cpu").make(a_prompt(self.prompt, self.plugin.accepts, Path(folder)), 3)

    @property
    def plugin(self) -> SourcePlugin:
        return self.catalog.sources.get(self.name)

    def test_a_seed_makes_what_its_record_says_and_the_same_again(self, tmp_path: Path) -> None:
        prompt = a_prompt(self.prompt, self.plugin.accepts, tmp_path)
        first, second = (self.plugin.build(self.config, device="cpu").make(prompt, 3) for _ in range(2))
        if self.plugin.makes == "state":
            assert isinstance(first, dict)
            assert isinstance(second, dict)
            assert first.keys() == second.keys()
            assert all(torch.equal(first[key], second[key]) for key in first)
            return
        assert isinstance(first, Asset)
        assert isinstance(second, Asset)
        assert first.kind == self.plugin.makes
        if isinstance(first, MeshAsset) and isinstance(second, MeshAsset):
            assert len(first.mesh.faces) > 0
            assert np.array_equal(first.mesh.vertices, second.mesh.vertices)
