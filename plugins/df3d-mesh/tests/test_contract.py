from df3d.testing import ExporterContract


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
