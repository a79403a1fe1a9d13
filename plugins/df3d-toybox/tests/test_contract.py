from df3d.testing import GuidanceContract, ScorerContract


class TestToybox(GuidanceContract):
    occasions = ({"camera": False},)
    name = "toybox"


class TestToyboxScorer(ScorerContract):
    name = "toybox"
    options = {"variations": 1}
