from __future__ import annotations

from df3d.testing import FieldContract, RendererContract


class TestTets(FieldContract):
    name = "tets"
    options = {"resolution": 12, "levels": 4, "log2_table": 10, "finest": 64}


class TestRaster(RendererContract):
    name = "raster"


class TestTexture(FieldContract):
    name = "texture"
    options = {"size": 64, "faces": 200}
