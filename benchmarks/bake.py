"""How much an exported mesh with its baked texture looks like the field it came from: PSNR over 8 views.

    python benchmarks/bake.py RUN [RUN ...] [--size 256]

Both are drawn with the camera, light and background of the run's last stage; the mesh by the rasteriser.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch

from df3d.mesh.files import read
from df3d.mesh.finished import drawable
from df3d.plugin.catalog import Catalog
from df3d.recipe.compose import compose
from df3d.run.parts import build_drawing
from df3d.run.pictures import around
from df3d.run.rundir import RunDir
from df3d.scene.cameras import orbit
from df3d.schedule import Step

SHARED = ("background", "background_color", "shading")  # options that both kinds of renderer have


def psnr(run: RunDir, catalog: Catalog, size: int) -> float:
    """Decibels, of the mean squared error over all pixels and views."""
    plan = compose(run.recipe(), catalog).stages[-1]
    field, renderer = build_drawing(plan, device="cpu", start_from=None, seed=0)
    run.checkpoints(plan.name).restore({"field": field})
    renderer.refresh(field, Step(0, 1))
    asset = run.asset()
    assert asset is not None, f"{run.path} is not finished"
    assert plan.stage.renderer is not None
    options = {key: value for key, value in plan.stage.renderer.options.items() if key in SHARED}
    mesh, mesh_renderer = drawable(read(asset, catalog), catalog, options, device="cpu")
    views = orbit(8, size=size)
    with torch.no_grad():
        drawn = around(field, renderer, views, device="cpu")
        baked = around(mesh, mesh_renderer, views, device="cpu")
    return -10 * math.log10(float((drawn - baked).square().mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--size", type=int, default=256)
    options = parser.parse_args()
    catalog = Catalog.discover()
    found = []
    for path in options.runs:
        found.append(psnr(RunDir.existing(path), catalog, options.size))
        print(f"{path}: {found[-1]:.1f} dB", flush=True)
    print(f"lowest {min(found):.1f} dB, mean {sum(found) / len(found):.1f} dB")


if __name__ == "__main__":
    main()
