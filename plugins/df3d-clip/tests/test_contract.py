from __future__ import annotations

from pathlib import Path

import pytest
from clips import tiny_clip

from df3d.testing import GuidanceContract


class TestClipGuidance(GuidanceContract):
    name = "clip"

    @pytest.fixture(autouse=True)
    def a_clip(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        type(self).options = {"model": str(tiny_clip(Path(tmp_path_factory.mktemp("clip"))))}
