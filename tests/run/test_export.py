"""What `df3d export` takes: the newest stage that has begun, or the one that is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from df3d.errors import ConfigError, RunError
from df3d.plugin.catalog import Catalog
from df3d.recipe.compose import compose
from df3d.recipe.recipe import find
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


@pytest.fixture
def begun(tmp_path: Path, catalog: Catalog) -> RunDir:
    """The folder of a run that is finished, without what it made."""
    run = RunDir(tmp_path / "run")
    run.write_text("run.toml", compose(find("toybox", catalog), catalog).recipe.toml())
    run.update_manifest({"prompt": "a car", "seed": 0, "status": "finished", "asset": "asset.glb"})
    (run.path / "asset.glb").touch()
    return run


def test_a_file_is_written_where_it_is_wanted_and_the_runs_own_stays(begun: RunDir, tmp_path: Path) -> None:
    path, folder = begun.path, tmp_path / "folder"
    folder.mkdir()
    assert export._path(begun, None, ".glb") == path / "export.glb"
    assert export._path(begun, path, ".glb") == path / "export.glb"
    assert export._path(begun, None, ".obj") == path / "asset.obj"
    assert export._path(begun, folder, ".glb") == folder / "asset.glb"
    assert export._path(begun, tmp_path / "bare", ".stl") == tmp_path / "bare.stl"
    assert export._path(begun, tmp_path / "my.car.glb", ".glb") == tmp_path / "my.car.glb"
    assert export._path(begun, path / "asset.glb", ".glb") == path / "asset.glb"  # a person names it: it is theirs to replace
    begun.update_manifest({"status": "running"})
    assert export._path(begun, None, ".glb") == path / "asset.glb"
    with pytest.raises(ConfigError, match="there is no folder"):
        export._path(begun, tmp_path / "no" / "car.glb", ".glb")


def test_the_format_is_that_of_the_option_the_ending_or_the_recipe(begun: RunDir, catalog: Catalog, tmp_path: Path) -> None:
    plan = compose(begun.recipe(), catalog).stages[-1]

    def chosen(format: str | None, out: str | None) -> str:
        return export._exporter(format, None if out is None else tmp_path / out, "glb", plan, catalog).name

    assert chosen(None, None) == "glb"
    assert chosen("obj", None) == "obj"
    assert chosen(None, "a.stl") == "stl"
    assert chosen(None, "a.STL") == "stl"
    assert chosen("stl", "a.STL") == "stl"
    assert chosen("obj", "bare") == "obj"
    (tmp_path / "a.folder").mkdir()
    assert chosen(None, "a.folder") == "glb"
    with pytest.raises(ConfigError, match="is a stl file, not obj"):
        chosen("obj", "a.stl")


def test_options_that_are_none_or_cannot_be_are_refused_before_anything_is_built(begun: RunDir, catalog: Catalog) -> None:
    (begun.path / "coarse").mkdir()
    (begun.path / "coarse" / "step-000002.safetensors").write_bytes(b"damaged")

    def again(**options: Any) -> None:
        list(export.export_again(begun, catalog, format=None, out=None, stage=None, device="cpu", options=options))

    with pytest.raises(ConfigError, match="there is no option `facse`") as error:
        again(facse=3, scale=1.0)
    assert "`faces`" in error.value.hint
    with pytest.raises(ConfigError, match="must be more than 0, and finite"):
        again(scale=-1.0)
    with pytest.raises(RunError, match="cannot be read"):
        again(scale=None, faces=None)  # not given: as in the recipe
