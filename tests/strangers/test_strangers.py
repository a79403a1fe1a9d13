"""Plugins of strangers: packages of their own, installed with pip, that use what the stability page calls public."""

from __future__ import annotations

import ast
import json
import os
import re
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from command import TINY, Cli, df3d, pip_install
from PIL import Image
from safetensors.numpy import load_file

HERE = Path(__file__).parent
PACKAGES = ("df3d-splats", "df3d-odds")
PUBLIC = re.compile(r"df3d(\.(types|protocols|schedule|errors|events|prompt|testing|system\.\w+)|\.(scene|mesh)\.\w+)?")


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The packages, installed with pip into a folder of their own."""
    folder = tmp_path_factory.mktemp("site")
    pip_install(folder, *(HERE / name for name in PACKAGES))
    return folder


@pytest.fixture
def run(site: Path, tmp_path: Path) -> Cli:
    return partial(df3d, where=tmp_path, site=site)


def events(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]


def test_they_import_only_what_is_public() -> None:
    for path in HERE.glob("df3d-*/**/*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "df3d":
                assert PUBLIC.fullmatch(node.module), f"{path} imports {node.module}"
                assert not any(alias.name.startswith("_") for alias in node.names)


@pytest.mark.parametrize("package", PACKAGES)
def test_they_keep_the_contracts(site: Path, tmp_path: Path, package: str) -> None:
    done = df3d("plugins", "check", package, "--json", where=tmp_path, PYTHONPATH=str(site))
    rows = json.loads(done.stdout)
    assert not [row for row in rows if row["state"] == "failed"]
    assert done.returncode == 0
    assert len(rows) > 20


SPLATS = """
name = "splats"
[[stage]]
name = "cloud"
steps = 40
save_every = 4
preview_every = 20
field = { use = "splats" }
renderer = { use = "splatter" }
guidance = { use = "toybox", t_min = 0.2 }
cameras = { views = 2, size = 32 }
[export]
turntable = 32
"""


def test_splats_grow_are_killed_and_go_on_bit_for_bit_and_end_as_a_ply(run: Cli, site: Path, tmp_path: Path) -> None:
    (tmp_path / "splats.toml").write_text(SPLATS)
    command = ("generate", "a red car", "--recipe", "splats.toml", "--quiet")
    done = run(*command, "--out", "whole")
    assert done.stdout == "whole/asset.ply\n", done.stderr

    env = {**os.environ, "PYTHONPATH": str(site)}
    killed = subprocess.Popen([sys.executable, "-m", "df3d", *command, "--out", "killed"], cwd=tmp_path, env=env)
    until = time.monotonic() + 240
    while not list((tmp_path / "killed").glob("cloud/step-000012.safetensors")) and time.monotonic() < until:
        time.sleep(0.01)
    os.kill(killed.pid, signal.SIGKILL)
    assert killed.wait(60) == -signal.SIGKILL
    assert not (tmp_path / "killed" / "asset.ply").exists()
    again = run(*command, "--out", "killed")
    assert again.returncode == 0, again.stderr
    assert any(event["event"] == "StageStarted" and event["step"] for event in events(tmp_path / "killed"))

    whole, resumed = (load_file(tmp_path / name / "cloud" / "step-000040.safetensors") for name in ("whole", "killed"))
    assert whole.keys() == resumed.keys()
    assert all(np.array_equal(whole[key], resumed[key]) for key in whole)
    assert len(whole["field.means"]) != 200  # their number has changed
    assert (tmp_path / "whole" / "asset.ply").read_bytes() == (tmp_path / "killed" / "asset.ply").read_bytes()
    header = (tmp_path / "whole" / "asset.ply").read_bytes().partition(b"end_header")[0]
    assert f"element vertex {len(whole['field.means'])}".encode() in header
    assert (tmp_path / "whole" / "turntable.webp").stat().st_size > 500

    assert run("render", "whole", "--size", "32", "--views", "4").stdout == "whole/asset-turntable.webp\n"
    refused = run("export", "whole", "--format", "glb")
    assert "exporter `glb` takes mesh; field `splats` of stage `cloud` makes gaussians" in refused.stderr
    assert run("export", "whole", "--out", "again.ply", "--quiet").stdout == "again.ply\n"
    scored = run("eval", "whole", "--scorer", "geometry", "--json")
    assert "it takes mesh, and this is gaussians" in scored.stderr
    page = run("view", "whole", "--no-open")
    assert "no page shows gaussians" in page.stderr


def test_gaussians_to_an_exporter_of_meshes_are_refused_before_anything_loads(run: Cli, tmp_path: Path) -> None:
    (tmp_path / "splats.toml").write_text(SPLATS.replace("[export]", '[export]\nformat = "glb"'))
    done = run("generate", "a red car", "--recipe", "splats.toml")
    assert "exporter `glb` takes mesh; field `splats` of stage `cloud` makes gaussians" in done.stderr
    assert not (tmp_path / "runs").exists()


SEVERAL = """
name = "several"
[[stage]]
name = "coarse"
steps = 10
field = { use = "hashgrid", levels = 4, log2_table = 12 }
renderer = { use = "raymarch", samples = 24, occupancy = 16 }
guidance = [{ use = "toybox" }, { use = "likeness", weight = { start = 0.5, end = 2.0 } }]
cameras = { use = "front" }
optimizer = { use = "sign", shrink = 0.5 }
penalties = { smoothness = 0.1, opacity = 0.01 }
[export]
resolution = 24
texture_size = 64
faces = 200
turntable = 32
"""


def test_a_picture_guides_beside_the_embedded_model_with_cameras_penalty_and_optimiser_of_strangers(
    run: Cli, tmp_path: Path
) -> None:
    (tmp_path / "several.toml").write_text(SEVERAL)
    Image.new("RGB", (20, 20), (200, 30, 30)).save(tmp_path / "front.png")
    command = ("generate", "a red car", "--recipe", "several.toml", "--out", "run")
    done = run(*command, "--image", "front.png@0,0")
    assert done.returncode == 0, done.stderr
    stats = [event["stats"] for event in events(tmp_path / "run") if event["event"] == "Stepped"]
    assert len(stats) == 2
    for shown in stats:
        assert isinstance(shown, dict)
        assert {"guidance.toybox", "guidance.likeness", "penalties.smoothness", "penalties.opacity", "likeness.near"} <= set(shown)
        assert shown["likeness.near"] == 1.0  # the cameras look from the front, as the picture does
    kept = json.loads((tmp_path / "run" / "run.json").read_text())["pictures"]
    assert [(picture["azimuth"], picture["elevation"]) for picture in kept] == [(0.0, 0.0)]
    again = run(*command, "--image", "front.png@90,0")
    assert "holds a run with pictures" in again.stderr
    one = run("generate", "a red car", "--recipe", "several.toml", "--set", "guidance.use=toybox")
    assert "several guidances: write guidance.NAME.use" in one.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipe", "several.toml"], "guidance `likeness` needs a picture, and the prompt has none"),
        (["--image", "front.png"], "nothing in recipe `toybox` can use a picture: `toybox` takes negative, text"),
        (["--recipe", "several.toml", "--image", "torn.png"], "picture `torn.png` cannot be read"),
        (["--recipe", "several.toml", "--image", "gone.png"], "picture `gone.png` cannot be read: No such file"),
        (["--recipe", "several.toml", "--image", "front.png@left"], "`left` is no camera"),
        (["--recipe", "several.toml", "--set", "guidance.toybox.weight=much"], "`coarse.guidance[0].weight` must be a number"),
        (["--recipe", "several.toml", "--set", "penalties.smoothnes=1"], "unknown key `coarse.penalties.smoothnes`"),
    ],
)
def test_what_a_prompt_holds_is_checked_before_anything_loads(run: Cli, tmp_path: Path, arguments: list[str], message: str) -> None:
    (tmp_path / "several.toml").write_text(SEVERAL)
    Image.new("RGB", (4, 4)).save(tmp_path / "front.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "front.png").read_bytes()[:40])
    done = run("generate", "a red car", *arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "runs").exists()


TEXTURED = """
name = "textured"
[[stage]]
name = "shape"
source = { use = "box", width = 1.0 }
[[stage]]
name = "paint"
start_from = "shape"
steps = 4
field = { use = "texture", size = 64, faces = 100 }
renderer = { use = "raster", supersample = 1 }
guidance = { use = "toybox" }
cameras = { views = 2, size = 32 }
[export]
turntable = 32
"""


def test_a_source_makes_an_asset_in_one_go_and_a_later_stage_paints_it(run: Cli, tmp_path: Path) -> None:
    made = run("generate", "a red car", "--recipe", "box", "--quiet")
    assert made.stdout == "runs/a-red-car/asset.glb\n", made.stderr
    assert (tmp_path / "runs" / "a-red-car" / "sheet.png").exists()
    other = run("export", "runs/a-red-car", "--format", "obj", "--quiet")
    assert other.stdout == "runs/a-red-car/asset.obj\n", other.stderr
    (tmp_path / "textured.toml").write_text(TEXTURED)
    done = run("generate", "a red car", "--recipe", "textured.toml", "--out", "painted")
    assert done.returncode == 0, done.stderr
    starts = [event for event in events(tmp_path / "painted") if event["event"] == "StageStarted"]
    assert [event["stage"] for event in starts] == ["shape", "paint"]

    (tmp_path / "two.toml").write_text(
        TEXTURED.replace('source = { use = "box", width = 1.0 }', 'source = [{use="box"}, {use="box"}]')
    )
    assert "`shape.source` names several sources" in run("generate", "a red car", "--recipe", "two.toml").stderr
    (tmp_path / "both.toml").write_text(TEXTURED.replace("width = 1.0 }", "width = 1.0 }\nsteps = 3"))
    assert "has both a source and steps" in run("generate", "a red car", "--recipe", "both.toml").stderr


def test_a_mesh_file_is_what_a_run_starts_from(run: Cli, tmp_path: Path) -> None:
    run("generate", "a red car", "--recipe", "box", "--quiet", "--out", "box")
    recipe = TEXTURED.split("[[stage]]")
    (tmp_path / "paint.toml").write_text(recipe[0] + "[[stage]]" + recipe[2].replace('start_from = "shape"\n', ""))
    done = run("generate", "a red car", "--recipe", "paint.toml", "--mesh", "box/asset.glb", "--out", "painted", "--quiet")
    assert done.returncode == 0, done.stderr
    assert "mesh" in json.loads((tmp_path / "painted" / "run.json").read_text())
    refused = run("generate", "a red car", "--mesh", "box/asset.glb")
    assert "nothing in recipe `toybox` can use a start mesh" in refused.stderr
    gone = run("generate", "a red car", "--recipe", "paint.toml", "--mesh", "gone.glb")
    assert "`gone.glb` cannot be read" in gone.stderr


def test_an_importer_and_a_launcher_of_strangers_are_used(run: Cli, tmp_path: Path) -> None:
    (tmp_path / "thing.tri").write_text("0 0 0 1 0 0 0 1 0\n0 0 0 0 1 0 0 0 1\n")
    assert run("render", "thing.tri", "--size", "32", "--views", "4").stdout == "thing-turntable.webp\n"
    (tmp_path / "list.txt").write_text("# two of them\na red car\n\na blue car\n")
    done = run("batch", "list.txt", "--out", "many", "--launcher", "shout", "--workers", "2")
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == ["WORKER 0", "WORKER 1"]
    assert done.stdout.splitlines()[0].endswith("-m df3d batch --worker many --retries 2")


BROKEN = {  # a module of hooks, and what `df3d plugins` says of it
    "raises": ("raise RuntimeError('half installed')", "RuntimeError: half installed"),
    "leaves": ("import sys; sys.exit(3)", "SystemExit: 3"),
    "missing": ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    "notarecord": (
        "@hookimpl\ndef df3d_fields():\n    return ['hashgrid']",
        "df3d_fields yields a str where a FieldPlugin is expected",
    ),
    "wrongrecord": (
        "@hookimpl\ndef df3d_renderers():\n    yield FieldPlugin(name='f', summary='s', target='a:b', provides=frozenset())",
        "df3d_renderers yields a FieldPlugin (`f`) where a RendererPlugin is expected; that belongs into df3d_fields",
    ),
    "wronghook": ("@hookimpl\ndef df3d_feilds():\n    return []", "there is no hook df3d_feilds; did you mean `df3d_fields`"),
    "unmarked": ("def df3d_fields():\n    return []", "its function df3d_fields has no @hookimpl"),
    "manyarguments": (
        "@hookimpl\ndef df3d_fields(surprise):\n    return []",
        "its df3d_fields takes 'surprise', which that hook does not have",
    ),
    "twice": (
        "@hookimpl\ndef df3d_penalties():\n    yield PenaltyPlugin(name='opacity', summary='s', target='a:b')",
        "penalty `opacity` is offered by both df3d and df3d-broken",
    ),
    "helpless": (
        "@dataclass(frozen=True)\nclass C:\n    size: int = 3\n"
        "@hookimpl\ndef df3d_penalties():\n    yield PenaltyPlugin(name='p1', summary='s', target='a:b', config=C)",
        "penalty `p1`: option `size` has no help text",
    ),
    "thawed": (
        "@dataclass\nclass C:\n    size: int = option(3, 'x')\n"
        "@hookimpl\ndef df3d_penalties():\n    yield PenaltyPlugin(name='p2', summary='s', target='a:b', config=C)",
        "penalty `p2`: `config` must be a frozen dataclass",
    ),
    "pathless": (
        "@hookimpl\ndef df3d_penalties():\n    yield PenaltyPlugin(name='p3', summary='s', target='nowhere')",
        "penalty `p3`: `target` must be text as in `package.module:name`, not `nowhere`",
    ),
    "shouting": (
        "@hookimpl\ndef df3d_penalties():\n    yield PenaltyPlugin(name='P 4', summary='s', target='a:b')",
        "penalty `P 4`: its name must be of small letters",
    ),
    "odd": (
        "@hookimpl\ndef df3d_penalties():\n    yield PenaltyPlugin(name='p5', summary='s', target='a:b', needs=ODD)",
        "penalty `p5`: no render has `odour`",
    ),
    "old": ("df3d_api = 0", "it is written for plugin API 0, and this df3d has 1"),
    "late": ("@hookimpl\ndef df3d_recipes():\n    raise OSError('no folder')", ""),
}
FEWER = (  # fewer arguments than the hook has, and another name by specname: both are pluggy's, and right
    "@hookimpl\ndef df3d_on_event():\n    pass\n"
    "@hookimpl(specname='df3d_penalties')\ndef mine():\n    yield PenaltyPlugin(name='fine', summary='s', target='a:b')\n"
)
HEAD = (
    "from dataclasses import dataclass\nODD = frozenset({'odour'})\nfrom df3d import FieldPlugin, PenaltyPlugin, hookimpl, option\n"
)


@pytest.fixture(scope="session")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A package in which every entry point is broken in its own way, and one is not."""
    source, folder = tmp_path_factory.mktemp("df3d-broken"), tmp_path_factory.mktemp("broken")
    text = (HERE / "df3d-odds" / "pyproject.toml").read_text().replace("odds", "broken")
    entries = "".join(f'x-{name} = "df3d_broken.{name}"\n' for name in [*BROKEN, "fewer"])
    (source / "pyproject.toml").write_text(re.sub(r"broken = .*\n", entries, text, count=1))
    (source / "df3d_broken").mkdir()
    for name, (code, _) in {**BROKEN, "fewer": (FEWER, "")}.items():
        (source / "df3d_broken" / f"{name}.py").write_text(HEAD + code + "\n")
    (source / "df3d_broken" / "__init__.py").touch()
    pip_install(folder, source)
    return folder


def test_every_broken_plugin_is_told_in_a_sentence_and_stops_nothing(broken: Path, tmp_path: Path) -> None:
    run = partial(df3d, where=tmp_path, site=broken)
    listed = run("plugins", "--json")
    assert listed.returncode == 0, listed.stderr
    found = {plugin["name"]: plugin for plugin in json.loads(listed.stdout)}
    for name, (_, problem) in BROKEN.items():
        if problem:
            assert problem in found[f"x-{name}"]["problem"], name
            assert found[f"x-{name}"]["parts"] == []
    assert found["x-fewer"]["problem"] is None
    assert [part["name"] for part in found["x-fewer"]["parts"]] == ["fine"]
    assert {part["name"] for part in found["toybox"]["parts"]} >= {"toybox"}
    assert run("recipes").returncode == 0  # `late` raises there, and is left out
    made = run("generate", "a red car", "--out", "run", "--quiet", *TINY)
    assert made.returncode == 0, made.stderr
