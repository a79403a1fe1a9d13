from df3d.testing import FieldContract, RendererContract


class TestHashGrid(FieldContract):
    occasions = ({"start_levels": 2},)
    name = "hashgrid"
    options = {"levels": 4, "log2_table": 10, "hidden": 16}


class TestRayMarch(RendererContract):
    name = "raymarch"
    options = {"samples": 64, "occupancy": 32}
