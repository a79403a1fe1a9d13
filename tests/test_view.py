"""`df3d render` and `df3d view` on meshes that df3d did not make."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import trimesh
from command import Cli
from PIL import Image


@pytest.fixture
def painted(tmp_path: Path) -> Path:
    mesh = trimesh.creation.icosphere(radius=7.0)  # far larger than the unit ball, and off its centre
    mesh.apply_translation([100.0, 0.0, 3.0])
    mesh.visual.vertex_colors = np.tile([0, 0, 255, 255], (len(mesh.vertices), 1))
    mesh.export(tmp_path / "ball.ply")
    return tmp_path / "ball.ply"


@pytest.mark.parametrize("name", ["turn.webp", "turn.gif", "turn.mp4", "sheet.png"])
def test_a_turntable_of_any_mesh(cli: Cli, painted: Path, name: str) -> None:
    done = cli("render", "ball.ply", "--out", name, "--views", "4", "--size", "32")
    assert done.stdout == f"{name}\n", done.stderr
    path = painted.with_name(name)
    if name == "turn.mp4":
        assert path.read_bytes()[4:8] == b"ftyp"
        return
    with Image.open(path) as picture:
        assert getattr(picture, "n_frames", 1) == (1 if name == "sheet.png" else 4)
        pixels = np.asarray(picture.convert("RGB"))[:32, :32]
    assert pixels[16, 16, 2] > 200 > 60 > pixels[16, 16, 0]
    assert pixels[0, 0].min() > 250


def test_the_shape_alone_is_white(cli: Cli, painted: Path) -> None:
    done = cli(
        "render", "ball.ply", "-o", "g.png", "--views", "1", "--size", "32", "--shading", "geometry", "--background", "0,0,0"
    )
    assert done.returncode == 0, done.stderr
    pixels = np.asarray(Image.open(painted.with_name("g.png")).convert("RGB"))
    assert pixels[16, 16].min() > 200
    assert pixels[0, 0].max() == 0


def test_a_page_holds_everything_it_needs(cli: Cli, painted: Path) -> None:
    done = cli("view", "ball.ply", "--no-open")
    assert done.stdout == "ball.html\n", done.stderr
    page = painted.with_suffix(".html").read_text()
    assert "<iframe" in page
    assert "src=&quot;http" not in page
    assert 'src="http' not in page


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("render", "nothing.glb"), "there is no file `nothing.glb`"),
        (("render", "ball.ply", "-o", "x.bmp"), "neither a sheet (.png) nor a film"),
        (("render", "ball.ply", "--background", "red"), "`red` is not a colour"),
        (("view", "ball.ply", "-o", "x.txt", "--no-open"), "cannot write a page"),
        (("render", "."), "is not a run folder"),
    ],
)
def test_bad_input_is_one_line_and_a_hint(cli: Cli, painted: Path, arguments: tuple[str, ...], message: str) -> None:
    done = cli(*arguments)
    assert done.returncode == 1
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_page_of_somebody_elses_is_not_written_over(cli: Cli, painted: Path) -> None:
    page = painted.with_suffix(".html")
    page.write_text("<!doctype html>mine")
    done = cli("view", "ball.ply", "--no-open")
    assert done.returncode == 1
    assert "`ball.html` is there already, and df3d did not write it" in done.stderr
    assert page.read_text() == "<!doctype html>mine"
    page.unlink()
    for _ in range(2):  # its own page is written again
        assert cli("view", "ball.ply", "--no-open").stdout == "ball.html\n"


def test_only_a_turntable_goes_into_a_page(cli: Cli, painted: Path) -> None:
    (painted.parent / "key").write_text("-----BEGIN OPENSSH PRIVATE KEY-----")
    (painted.parent / "turntable.webp").symlink_to("key")
    cli("view", "ball.ply", "--no-open")
    (painted.parent / "turntable.webp").unlink()
    linked = painted.with_suffix(".html").read_text()
    (painted.parent / "turntable.webp").write_text("-----BEGIN OPENSSH PRIVATE KEY-----")
    cli("view", "ball.ply", "--no-open")
    for text in (linked, painted.with_suffix(".html").read_text()):
        assert "LS0tLS1CRUdJTiBPUEVOU1NI" not in text
