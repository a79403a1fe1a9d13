from __future__ import annotations

import pytest
from clips import tiny_clip

from df3d.testing import GuidanceContract, ScorerContract


class OnAClip:
    @pytest.fixture(autouse=True)
    def a_clip(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        type(self).options = {"model": str(tiny_clip(tmp_path_factory.mktemp("clip")))}  # type: ignore[attr-defined]


class TestClipGuidance(OnAClip, GuidanceContract):
    name = "clip"


class TestClip(OnAClip, ScorerContract):
    name = "clip"


class TestJanus(OnAClip, ScorerContract):
    name = "janus"


class TestConsistency(OnAClip, ScorerContract):
    name = "consistency"
