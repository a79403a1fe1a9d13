"""The story of a run: what it does once, what it does not do again, and runs of earlier versions."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from command import SETTINGS, TINY, Cli
from guides import Grey, Guides
from PIL import Image
from safetensors.numpy import load_file

from df3d import GuidancePlugin, hookimpl
from df3d.errors import PluginError
from df3d.events import Event, Exporting, RunFinished, RunPaused, RunStarted, StageStarted
from df3d.mesh import surface
from df3d.mesh.files import read
from df3d.plugin.catalog import Catalog
from df3d.recipe import compose
from df3d.run.job import Job, prepare
from df3d.run.rundir import RunDir
from df3d.system import machine

BEFORE = Path(__file__).parents[1] / "data" / "run-0.1.0"


@pytest.fixture
def job() -> Job:
    catalog = Catalog.discover()
    catalog.add(Guides())
    settings = [*SETTINGS, "guidance.use=grey", "steps=4"]
    return prepare("a red car", recipe="toybox", settings=settings, device="cpu", catalog=catalog)


def follow(job: Job, folder: Path) -> list[Event]:
    seen: list[Event] = []
    job.run(folder, 0, seen.append)
    return seen


def test_a_finished_stage_loads_no_guidance_and_a_field_that_nothing_needs_is_not_built(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(job, tmp_path / "run")
    built: list[str] = []
    init = Grey.__init__
    monkeypatch.setattr(Grey, "__init__", lambda self, *a, **k: (built.append("guidance"), init(self, *a, **k))[1])
    made = "df3d_hashgrid.field.HashGridField.__init__"
    monkeypatch.setattr(made, lambda self, *a, **k: (_ for _ in ()).throw(AssertionError("the coarse field was built")))
    (tmp_path / "run" / "asset.glb").unlink()
    seen = follow(job, tmp_path / "run")
    assert built == []
    assert [(event.stage, event.step) for event in seen if isinstance(event, StageStarted)] == [("coarse", 4), ("fine", 4)]
    assert (tmp_path / "run" / "asset.glb").is_file()


def test_a_recipe_is_composed_once_and_the_surface_extracted_once(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def counted(name: str, function: object) -> object:
        return lambda *a, **k: (calls.append(name), function(*a, **k))[1]  # type: ignore[operator]

    monkeypatch.setattr(compose, "check_fit", counted("compose", compose.check_fit))
    monkeypatch.setattr("df3d.mesh.assemble.own_surface", counted("surface", surface.own_surface))
    follow(job, tmp_path / "run")
    assert calls.count("surface") == 1
    assert "compose" not in calls  # it was composed when the job was prepared


def test_a_run_of_the_version_before_goes_on_to_what_it_would_have_been(cli: Cli, tmp_path: Path) -> None:
    """Interrupted at step 4 of 6 by df3d as it was before plugin API 1."""
    shutil.copytree(BEFORE, tmp_path / "old")
    small = ["--set=field.log2_table=6", "--set=field.levels=2", "--set=field.hidden=4", "--set=field.resolution=8"]
    command = ("generate", "a red car", "--until", "coarse", "--quiet", *TINY, *small, "--set=export.faces=100")
    command = (*command, "--set=field.features=2")
    refused = cli(*command, "--out", "old")  # the recipe says more than it did
    assert "hint: repeat it with --recipe old/run.toml" in refused.stderr
    command = (*command, "--set=coarse.renderer.alpha_threshold=0")
    went_on = cli(*command, "--out", "old")
    assert went_on.returncode == 0, went_on.stderr
    assert cli(*command, "--out", "new").returncode == 0
    old, new = (load_file(tmp_path / name / "coarse" / "step-000006.safetensors") for name in ("old", "new"))
    assert old.keys() == new.keys()
    for key in old:  # to the bit on the machine that made it; others round the model's bf16 otherwise
        assert np.abs(old[key] - new[key]).max() <= 0.04 * np.abs(new[key]).max(), key
    repeated = cli("generate", "a red car", "--recipe", "old/run.toml", "--out", "again", "--until", "coarse", "--quiet")
    assert repeated.returncode == 0, repeated.stderr


def test_a_run_whose_parts_are_gone_is_refused_in_one_sentence(cli: Cli, tmp_path: Path) -> None:
    shutil.copytree(BEFORE, tmp_path / "old")
    recipe = tmp_path / "old" / "run.toml"
    recipe.write_text(recipe.read_text().replace('use = "toybox"', 'use = "vanished"'))
    done = cli("generate", "a red car", "--out", "old")
    assert done.returncode == 1
    assert "the run in `old` cannot go on with what is installed: there is no guidance `vanished`" in done.stderr
    assert "--fresh" in done.stderr
    assert json.loads((tmp_path / "old" / "run.json").read_text())["prompt"] == "a red car"


def test_an_output_that_was_promised_and_is_not_there_ends_the_run(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Needy(Guides):
        @hookimpl
        def df3d_guidance(self) -> Iterator[GuidancePlugin]:
            yield GuidancePlugin(name="needy", summary="Looks at depth", target="guides:Grey", needs=frozenset({"rgb", "depth"}))

    import dataclasses

    from df3d_hashgrid.renderer import RayMarchRenderer

    catalog = Catalog.discover()
    catalog.add(Needy())
    settings = [*SETTINGS, "coarse.guidance.use=needy", "steps=4"]
    needy = prepare("a red car", recipe="toybox", settings=settings, device="cpu", catalog=catalog)
    render = RayMarchRenderer.render
    monkeypatch.setattr(RayMarchRenderer, "render", lambda *a, **k: dataclasses.replace(render(*a, **k), depth=None))
    with pytest.raises(PluginError, match="renderer `raymarch` of stage `coarse` did not put out depth"):
        follow(needy, tmp_path / "run")


def test_a_run_writes_down_what_it_was_and_its_asset_carries_where_it_is_from(job: Job, tmp_path: Path, catalog: Catalog) -> None:
    seen = follow(job, tmp_path / "run")
    told = json.loads((tmp_path / "run" / "run.json").read_text())
    assert (told["prompt"], told["negative"], told["seed"], told["recipe"], told["device"]) == ("a red car", "", 0, "toybox", "cpu")
    assert (told["status"], told["asset"], told["stages"]) == ("finished", "asset.glb", ["coarse", "fine"])
    assert told["versions"]["torch"]
    assert told["seconds"] == round(told["seconds"], 1) > 0
    assert 50 < told["peak_memory_mib"] < 50_000
    asset = read(tmp_path / "run" / "asset.glb", catalog)
    assert asset.provenance == {key: told[key] for key in ("prompt", "seed", "recipe", "versions")}
    with Image.open(tmp_path / "run" / "sheet.png") as picture:
        assert picture.size == (4 * 32, 2 * 32)  # eight sides, of `export.turntable` pixels each
    started = next(event for event in seen if isinstance(event, RunStarted))
    assert (started.prompt, started.recipe, started.device, started.seed) == ("a red car", "toybox", "cpu", 0)
    assert started.stages == {"coarse": 4, "fine": 4}
    last = seen[-1]
    assert isinstance(last, RunFinished)
    assert last.asset == tmp_path / "run" / "asset.glb"
    assert last.files[0] == str(last.asset)
    assert [event.what for event in seen if isinstance(event, Exporting)][-2:] == ["glb", "turntable"]
    again = follow(job, tmp_path / "run")
    assert [type(event) for event in again] == [RunFinished]


def test_a_run_without_pictures_ends_with_its_file(catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = Catalog.discover()
    own.add(Guides())
    monkeypatch.setattr(machine, "peak_memory_mib", lambda: None)  # as on Windows
    settings = [*SETTINGS, "guidance.use=grey", "steps=1", "export.turntable=0", "preview_every=0"]
    seen = follow(prepare("a red car", recipe="toybox", settings=settings, device="cpu", catalog=own), tmp_path / "run")
    assert not list((tmp_path / "run").rglob("*.png"))
    assert not (tmp_path / "run" / "turntable.webp").exists()
    assert "turntable" not in [event.what for event in seen if isinstance(event, Exporting)]
    assert "peak_memory_mib" not in RunDir(tmp_path / "run").manifest()


def test_until_the_last_stage_is_until_the_end(catalog: Catalog, tmp_path: Path) -> None:
    own = Catalog.discover()
    own.add(Guides())
    settings = [*SETTINGS, "guidance.use=grey", "steps=1", "export.turntable=0", "preview_every=0"]
    for until, kind in (("coarse", RunPaused), ("fine", RunFinished)):
        work = prepare("a red car", recipe="toybox", settings=settings, device="cpu", catalog=own, until=until)
        assert isinstance(follow(work, tmp_path / "run")[-1], kind)
        assert RunDir(tmp_path / "run").manifest()["status"] == ("running" if until == "coarse" else "finished")
