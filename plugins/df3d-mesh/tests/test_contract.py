import pytest

from df3d.testing import ExporterContract, ImporterContract, ScorerContract


class TestGlb(ExporterContract):
    name = "glb"


class TestObj(ExporterContract):
    name = "obj"


class TestPly(ExporterContract):
    name = "ply"


class TestStl(ExporterContract):
    name = "stl"


class TestHtml(ExporterContract):
    name = "html"


class TestUsdz(ExporterContract):
    name = "usdz"

    @pytest.fixture(autouse=True)
    def usd(self) -> None:
        pytest.importorskip("pxr", reason="needs usd-core")


class TestGeometry(ScorerContract):
    name = "geometry"


class TestMeshImporter(ImporterContract):
    name = "mesh"
