"""What `df3d export` takes: the newest stage that has begun, or the one that is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from df3d.errors import ConfigError, RunError
from df3d.plugin.catalog import Catalog
from df3d.run import export
from df3d.run.rundir import RunDir


def test_the_newest_stage_counts(catalog: Catalog, finished: Path) -> None:
    run = RunDir.existing(finished)
    assert export._stage(run, catalog, None).name == "fine"
    assert export._stage(run, catalog, "coarse").name == "coarse"
    with pytest.raises(ConfigError, match="has no stage `find`"):
        export._stage(run, catalog, "find")
    for path in (finished / "fine").glob("*.safetensors"):
        path.unlink()
    assert export._stage(run, catalog, None).name == "coarse"
    with pytest.raises(RunError, match="has no checkpoint yet"):
        export._stage(run, catalog, "fine")
