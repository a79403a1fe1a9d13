from __future__ import annotations

import pytest
from pipelines import write_pipeline

from df3d.testing import GuidanceContract


class TestSds(GuidanceContract):
    name = "sds"
    occasions = (
        {"latent_until": 0.5}, {"objective": "reconstruction", "matting": 0.1}, {"objective": "asd"}, {"objective": "sdi"},
        {"objective": "esd"}, {"order": "falling"}, {"noise": "fixed"},
    )  # fmt: skip

    @pytest.fixture(autouse=True)
    def a_model(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        type(self).options = {"model": str(write_pipeline(tmp_path_factory.mktemp("sd"), "sd"))}


class TestMvdream(GuidanceContract):
    name = "mvdream"
    occasions = (*TestSds.occasions, {"camera": False})

    @pytest.fixture(autouse=True)
    def a_model(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        type(self).options = {"model": str(write_pipeline(tmp_path_factory.mktemp("mvdream"), "mvdream"))}
