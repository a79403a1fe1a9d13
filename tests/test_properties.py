"""What must be true of any input, tried on many: hypothesis makes them."""

from __future__ import annotations

import dataclasses
import json
import string
import tempfile
import tomllib
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
import trimesh
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from df3d import option
from df3d.errors import RunError
from df3d.evaluation.targets import find_targets
from df3d.mesh import cleanup
from df3d.plugin.catalog import Catalog
from df3d.plugin.schema import dump, parse
from df3d.prompt import Prompt, normalised
from df3d.recipe import recipe as recipes
from df3d.recipe.compose import compose
from df3d.recipe.settings import override, parse_setting, places
from df3d.run.rundir import default_path
from df3d.scene import penalties
from df3d.schedule import Schedule, Step
from df3d.system.text import csv_cell, html_text, json_line, one_line, printable
from df3d.types import Mesh, RenderOutput, SurfaceMesh

CATALOG = Catalog.discover()
settings.register_profile("df3d", deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow], derandomize=True)
settings.load_profile("df3d")

numbers = st.floats(-1e6, 1e6, allow_nan=False)
schedules = st.builds(Schedule, numbers, st.none() | numbers, st.floats(0, 1), st.floats(0, 1))
normal = st.builds(Schedule, numbers) | st.builds(Schedule, numbers, numbers, st.floats(0, 1), st.floats(0, 1))
words = st.text(string.ascii_lowercase, min_size=1, max_size=8)

KINDS: dict[Any, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**40), 2**40),
    float: numbers,
    str: st.text(max_size=20),
    bool: st.booleans(),
    int | None: st.none() | st.integers(-9, 9),
    tuple[float, float]: st.tuples(numbers, numbers),
    tuple[int, ...]: st.lists(st.integers(-9, 9), max_size=4).map(tuple),
    Literal["a", "b"]: st.sampled_from(["a", "b"]),
    Schedule: normal,
    dict[str, Schedule]: st.dictionaries(words, normal, max_size=3),
}


@st.composite
def configs(draw: st.DrawFn, depth: int = 1) -> Any:
    """An instance of a dataclass of any shape."""
    fields: list[tuple[str, Any, Any]] = []
    values: dict[str, Any] = {}
    for name in draw(st.lists(words.map("x_".__add__), min_size=1, max_size=5, unique=True)):
        if depth and draw(st.booleans()):
            inner = draw(configs(depth - 1))
            fields.append((name, type(inner), option(inner, "a table")))
            values[name] = inner
            continue
        kind = draw(st.sampled_from(list(KINDS)))
        values[name] = draw(KINDS[kind])
        default = dataclasses.field(default_factory=dict) if kind == dict[str, Schedule] else option(draw(KINDS[kind]), "help")
        fields.append((name, kind, default))
    return dataclasses.make_dataclass("Config", fields, frozen=True, kw_only=True)(**values)


@given(configs())
def test_what_is_written_is_read_back(config: Any) -> None:
    kept = {f.name for f in dataclasses.fields(config) if getattr(config, f.name) is not None}
    again = parse(type(config), dump(config))
    assert all(getattr(again, name) == getattr(config, name) for name in kept)


TOYBOX = compose(recipes.find("toybox", CATALOG), CATALOG).recipe
PATHS = sorted(path for path in places(TOYBOX.stages[0].table(), CATALOG) if path.count(".") <= 1)


@given(st.sampled_from(PATHS), st.sampled_from([stage.name for stage in TOYBOX.stages]), st.data())
def test_a_setting_changes_what_its_path_names_and_nothing_else(path: str, stage: str, data: st.DataObject) -> None:
    table = TOYBOX.table()
    assume(path in places(next(one for one in table["stage"] if one["name"] == stage), CATALOG))
    assume(path not in ("name", "start_from", "penalties") and not path.endswith(".use"))
    value = data.draw(st.integers(1, 99))
    try:
        changed = override(TOYBOX, [(f"{stage}.{path}", value)], CATALOG).table()
    except recipes.ConfigError:  # a text or a list is wanted there
        return
    for before, after in zip(table["stage"], changed["stage"], strict=True):
        if before["name"] != stage:
            assert before == after
            continue
        different = {key for key in after if before.get(key) != after[key]}
        assert different <= {path.split(".")[0]}
    assert changed["export"] == table["export"]


@given(st.sampled_from(sorted(recipes.available(CATALOG))), st.dictionaries(st.sampled_from(CATALOG.penalties.names()[:2]), normal))
def test_a_recipe_is_what_its_toml_says(name: str, weights: dict[str, Schedule]) -> None:
    whole = recipes.find(name, CATALOG)
    stages = tuple(dataclasses.replace(stage, penalties={**stage.penalties, **weights}) for stage in whole.stages)
    recipe = dataclasses.replace(whole, stages=stages)
    assert recipes.from_table(tomllib.loads(recipe.toml())) == recipe


@given(st.text(string.ascii_letters + "._-", min_size=1, max_size=12), st.text(max_size=20))
def test_any_text_is_a_setting_or_refused(key: str, value: str) -> None:
    path, found = parse_setting(f"{key}={value}")
    assert path == key.strip()
    assert found is not None


@given(st.text(max_size=60))
def test_prompts_differ_only_in_what_people_mind(text: str) -> None:
    assert normalised(normalised(text)) == normalised(text)
    assert normalised(f"  {text.upper()}\t") == normalised(text.upper())
    assert len(one_line(text)) == len(text)
    assert one_line(text).isprintable()


@given(st.text(max_size=60))
def test_no_text_leaves_with_control_characters(text: str) -> None:
    assert printable(text).isprintable()
    assert json_line(text).isprintable()
    assert json.loads(json_line(text)) == text
    assert csv_cell(text).isprintable()
    assert not csv_cell(text).startswith(("=", "+", "-", "@"))
    assert not {"<", ">", '"'} & set(html_text(text))


@given(st.lists(st.text(min_size=1, max_size=80).filter(str.strip), min_size=2, max_size=6, unique_by=str.lower))
def test_each_prompt_has_a_folder_of_its_own_that_any_system_takes(texts: list[str]) -> None:
    names = [default_path(Prompt(text).text, 0).name for text in texts]
    assert len(set(names)) == len(texts)
    assert all(set(name) <= set(string.ascii_lowercase + string.digits + "-") and len(name) < 80 for name in names)


trees = st.recursive(
    st.sampled_from([".glb", ".obj", ".txt", ".png"]), lambda inner: st.dictionaries(words, inner, max_size=4), max_leaves=12
)


@given(st.dictionaries(words, trees, min_size=1, max_size=4))
def test_every_mesh_in_a_folder_is_a_target_once(tree: dict[str, Any]) -> None:
    with tempfile.TemporaryDirectory() as place:
        wanted: set[Path] = set()

        def plant(folder: Path, inside: dict[str, Any]) -> None:
            folder.mkdir(exist_ok=True)
            for name, what in inside.items():
                if isinstance(what, dict):
                    plant(folder / name, what)
                else:
                    path = folder / f"{name}{what}"
                    path.touch()
                    wanted.update({path} if what in (".glb", ".obj") else set())

        plant(Path(place) / "all", tree)
        if not wanted:
            with pytest.raises(RunError, match="nothing to score"):
                find_targets([Path(place) / "all"], CATALOG)
            return
        found = find_targets([Path(place) / "all"] * 2, CATALOG)
        assert {target.path for target in found} == wanted
        assert len(found) == len(wanted)


def turned(mesh: SurfaceMesh, angles: list[float]) -> SurfaceMesh:
    x, y, z = (torch.tensor(angle, dtype=torch.float64) for angle in angles)
    generator = torch.zeros(3, 3, dtype=torch.float64)
    generator[0, 1], generator[0, 2], generator[1, 2] = -z, y, -x
    rotation = torch.matrix_exp(generator - generator.T)
    return SurfaceMesh(mesh.vertices @ rotation.T, mesh.faces)


@given(st.lists(st.floats(-3, 3), min_size=3, max_size=3), st.floats(0.1, 10), st.integers(0, 2**31))
def test_penalties_of_a_mesh_do_not_care_where_it_faces(angles: list[float], scale: float, seed: int) -> None:
    ball = trimesh.creation.icosphere(1)
    noise = torch.from_numpy(np.random.default_rng(seed).normal(0, 0.05, ball.vertices.shape))
    mesh = SurfaceMesh(torch.from_numpy(np.array(ball.vertices)) + noise, torch.from_numpy(np.array(ball.faces)))
    pixels = torch.zeros(1, 1, 1, 1)

    def value(name: str, of: SurfaceMesh) -> float:
        return float(getattr(penalties, name)(RenderOutput(pixels.expand(-1, -1, -1, 3), pixels, mesh=of)))

    other = turned(mesh, angles)
    larger = SurfaceMesh(mesh.vertices * scale, mesh.faces)
    for name, power in (("normal_consistency", 0), ("laplacian", 2), ("edge_length", 2)):
        assert np.isclose(value(name, other), value(name, mesh), rtol=1e-6)
        assert np.isclose(value(name, larger), value(name, mesh) * scale**power, rtol=1e-6)


@settings(max_examples=25)
@given(st.lists(st.tuples(*[st.floats(-0.5, 0.5)] * 3, st.floats(0.1, 0.4)), min_size=1, max_size=3), st.integers(20, 400))
def test_a_closed_mesh_stays_closed_whatever_is_asked_of_it(balls: list[tuple[float, ...]], faces: int) -> None:
    parts = [trimesh.creation.icosphere(2, radius=radius).apply_translation((x, y, z)) for x, y, z, radius in balls]
    raw = trimesh.util.concatenate(parts)
    mesh = cleanup.clean(Mesh(np.asarray(raw.vertices, np.float32), np.asarray(raw.faces, np.int64)), keep=0.0, faces=faces)
    assert cleanup.is_closed(mesh.faces)
    assert np.isfinite(mesh.vertices).all()
    assert mesh.normals is not None
    assert np.allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-5)


@given(schedules, st.integers(1, 50))
def test_a_schedule_stays_between_its_ends(schedule: Schedule, steps: int) -> None:
    low, high = min(schedule.ends), max(schedule.ends)
    for index in range(steps):
        assert low - 1e-6 * abs(low) - 1e-6 <= schedule.at(Step(index, steps)) <= high + 1e-6 * abs(high) + 1e-6
