from df3d.testing import GuidanceContract, ScorerContract


class TestToybox(GuidanceContract):
    occasions = (
        {"camera": False}, {"objective": "asd"}, {"objective": "sdi"}, {"objective": "esd"}, {"order": "falling"},
        {"noise": "fixed"},
    )  # fmt: skip
    name = "toybox"


class TestToyboxScorer(ScorerContract):
    name = "toybox"
    options = {"variations": 1}
