from df3d.testing import GuidanceContract


class TestToybox(GuidanceContract):
    name = "toybox"
