"""Events as lines of JSON."""

from __future__ import annotations

import json
from pathlib import Path

from df3d.events import Notice, RunFinished, RunStarted, Saved


def test_an_event_says_its_name_and_all_that_it_holds() -> None:
    assert Saved(Path("a") / "b", 3).json() == {"event": "Saved", "path": str(Path("a/b")), "step": 3}
    assert Notice("hello").json() == {"event": "Notice", "text": "hello", "instead": False}
    started = RunStarted(Path("run"), "a car", "toybox", "cpu", 0, {"coarse": 5}).json()
    assert started["stages"] == {"coarse": 5}
    finished = RunFinished(Path("run"), Path("run/asset.glb"), 1.5).json()
    assert json.loads(json.dumps(finished)) == {
        "event": "RunFinished", "run": "run", "asset": "run/asset.glb", "seconds": 1.5, "files": [],
    }  # fmt: skip
