"""What a source makes: once, of the kind that its record says, and kept for the next sitting."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from df3d.errors import PluginError
from df3d.events import Event, Notice
from df3d.mesh.finished import FinishedField
from df3d.mesh.options import ExportConfig
from df3d.prompt import Prompt
from df3d.run.generate import _as_start, _finish, _from_source, _is_finished, _needed
from df3d.run.rundir import RunDir
from df3d.run.stage import Setting
from df3d.testing import a_mesh, some_gaussians


class Field(nn.Linear):
    def __init__(self, start: object = None) -> None:
        super().__init__(2, 2)
        self.start = start

    parameter_groups = before_step = None


class Source:
    """Makes what it is told to, and writes down how it was asked."""

    def __init__(self, makes: str, *made: Any) -> None:
        self.made, self.asked = list(made), list[tuple[str, int, float]]()
        build = lambda config, *, device: self  # noqa: E731
        self.part = SimpleNamespace(name="source", config=None, plugin=SimpleNamespace(build=build, makes=makes))

    def make(self, prompt: Prompt, seed: int) -> Any:
        self.asked.append((prompt.text, seed, float(torch.rand(()))))
        return self.made.pop(0)


def stage(source: Source, *, field: bool = False, name: str = "first", start_from: str = "", steps: int = 0) -> Any:
    build = lambda config, *, device, start_from: Field(start_from)  # noqa: E731
    part = SimpleNamespace(name="linear", config=None, plugin=SimpleNamespace(build=build)) if field else None
    return SimpleNamespace(name=name, source=source.part, field=part, stage=SimpleNamespace(start_from=start_from, steps=steps))


def setting(folder: Path, seed: int = 3) -> Setting:
    return Setting(RunDir(folder), Prompt("a car"), "cpu", seed)


def test_an_asset_is_made_once_by_its_prompt_and_its_seed(tmp_path: Path) -> None:
    source = Source("mesh", a_mesh(), a_mesh())
    first = _from_source(stage(source), None, setting(tmp_path))
    again = _from_source(stage(source), None, setting(tmp_path))
    assert (first.kind, again.kind) == ("mesh", "mesh")  # type: ignore[union-attr]
    torch.manual_seed(3)
    assert source.asked == [("a car", 3, float(torch.rand(())))]  # other random numbers are the seed's as well
    assert [path.name for path in RunDir(tmp_path).checkpoints("first").files] == ["step-000001.safetensors"]


def test_a_source_that_makes_something_else_is_named(tmp_path: Path) -> None:
    for made, found in ((some_gaussians(), "gaussians"), ({"x": torch.zeros(1)}, "a dict")):
        with pytest.raises(PluginError, match=f"source `source` made {found} where its record says mesh"):
            _from_source(stage(Source("mesh", made)), None, setting(tmp_path))
    with pytest.raises(PluginError, match="source `source` made mesh where its record says state"):
        _from_source(stage(Source("state", a_mesh()), field=True), None, setting(tmp_path))


def test_a_state_becomes_a_field_once_and_comes_back(tmp_path: Path) -> None:
    state = {"weight": torch.full((2, 2), 7.0), "bias": torch.ones(2)}
    source = Source("state", state)
    for _ in range(2):
        field: Any = _from_source(stage(source, field=True), "a start", setting(tmp_path))  # type: ignore[arg-type]
        assert torch.equal(field.weight, state["weight"])
        assert field.start == "a start"
    assert len(source.asked) == 1


def test_a_state_that_does_not_fit_its_field_is_said_in_one_line(tmp_path: Path) -> None:
    source = Source("state", {"weight": torch.zeros(3, 3), "bias": torch.ones(2)})
    with pytest.raises(PluginError, match=r"what source `source` made does not fit field `linear`: `weight` is .*\]$"):
        _from_source(stage(source, field=True), None, setting(tmp_path))
    assert not RunDir(tmp_path).checkpoints("first").files


def test_a_stage_without_steps_is_finished_once_it_has_made_something(tmp_path: Path) -> None:
    run, made = RunDir(tmp_path), stage(Source("mesh"))
    assert not _is_finished(made, run)
    run.checkpoints("first").save_asset(a_mesh())
    assert _is_finished(made, run)
    assert not _is_finished(stage(Source("mesh"), steps=6), run)


def test_a_stage_is_needed_until_those_that_start_from_it_have_begun(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    later = [stage(Source("mesh"), name="second", start_from="first"), stage(Source("mesh"), name="third", start_from="second")]
    assert _needed("first", later, run)
    assert not _needed("zeroth", later, run)
    run.checkpoints("second").save_asset(a_mesh())
    assert not _needed("first", later, run)
    assert _needed("second", later, run)


def test_a_mesh_is_started_from_as_a_field_and_anything_else_as_it_is() -> None:
    assert isinstance(_as_start(a_mesh(), "cpu"), FinishedField)
    cloud, field = some_gaussians(), Field()
    assert _as_start(cloud, "cpu") is cloud
    assert _as_start(field, "cpu") is field  # type: ignore[arg-type]
    assert _as_start(None, "cpu") is None


def test_an_asset_that_nothing_draws_is_written_and_even_a_quiet_run_hears_of_the_missing_turntable(tmp_path: Path) -> None:
    asset, catalog = some_gaussians(), SimpleNamespace(renderers=[], fields=[])
    path = tmp_path / "asset.ply"
    exporter = SimpleNamespace(
        name="splats", takes={"gaussians"}, suffixes=(".ply",), config=lambda: None,
        build=lambda config: SimpleNamespace(write=lambda asset, path: [path]),
    )  # fmt: skip
    plan: Any = SimpleNamespace(recipe=SimpleNamespace(export=ExportConfig()), exporter=exporter)
    run: Any = SimpleNamespace(path=tmp_path, manifest=lambda: {"prompt": "a car"})
    files: list[Path] = []

    def story() -> Iterator[Event]:
        files.extend((yield from _finish(plan, asset, None, run, catalog, "cpu")))  # type: ignore[arg-type]

    assert list(story())[-1] == Notice("no turntable: no plugin draws gaussians", instead=True)
    assert files == [path]
