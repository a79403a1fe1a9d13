"""`df3d doctor`: what this machine has, what it costs to be without, and how to mend it."""

from __future__ import annotations

import json as jsonlib
import platform
import shutil
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version

import typer
from rich.markup import escape

from df3d.catalog import Catalog
from df3d.cli.context import catalog_of, show, table
from df3d.machine import cache_folder
from df3d.plugin import Finding

_BUILD = "python -m pip install --no-build-isolation git+https://github.com/NVlabs"


def doctor(context: typer.Context, json: bool = typer.Option(False, "--json", help="JSON on stdout.")) -> None:
    """Look at the machine. Exit code 1 only when nothing can run."""
    catalog = catalog_of(context)
    checks = catalog.checks()
    findings = [*_software(), _gpu(), *_compilers(), _disk(), *checks, *_plugins(catalog)]
    if json:
        print(jsonlib.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        rows = table("", "what", "found", "without it", "to mend it")
        colour = {"ok": "green", "missing": "yellow", "broken": "red"}
        for f in findings:
            rows.add_row(f"[{colour[f.state]}]{f.state}[/]", f.what, escape(f.detail), f.without, f.mend)
        show(rows)
    if any(f.needed and f.state != "ok" for f in findings):
        raise typer.Exit(1)


def _software() -> list[Finding]:
    found = [Finding("python", "ok", platform.python_version())]
    for name, needed, without, mend in (
        ("torch", True, "nothing runs", "python -m pip install torch"),
        ("numba", True, "nothing runs", "python -m pip install numba"),
        ("diffusers", False, "no diffusion guidance", "python -m pip install diffusers"),
        ("transformers", False, "no diffusion guidance", "python -m pip install transformers"),
        ("trimesh", False, "no GLB", "python -m pip install trimesh"),
        ("triton", False, "hash grids on a GPU run in plain torch", "comes with torch for CUDA"),
        ("tinycudann", False, "hash grids on a GPU run as Triton kernels", f"{_BUILD}/tiny-cuda-nn#subdirectory=bindings/torch"),
        ("nvdiffrast", False, "surfaces are rasterised on the CPU, beside a GPU too", f"{_BUILD}/nvdiffrast"),
    ):
        try:
            found.append(Finding(name, "ok", version(name), needed=needed))
        except PackageNotFoundError:
            found.append(Finding(name, "missing", "not installed", without, mend, needed))
    return found


def _gpu() -> Finding:
    try:
        import torch
    except Exception as error:
        return Finding("GPU", "broken", f"torch does not import: {error}", "nothing runs", "reinstall torch", needed=True)
    if not torch.cuda.is_available():
        return Finding("GPU", "missing", "no CUDA device", "only the toybox recipe is fast enough", "a machine with an NVIDIA GPU")
    memory = torch.cuda.get_device_properties(0).total_memory / 2**30
    return Finding("GPU", "ok", f"{torch.cuda.get_device_name(0)}, {memory:.0f} GiB")


def _compilers() -> list[Finding]:
    """To build tinycudann or nvdiffrast, to compile models, and for Triton's launcher on a GPU."""
    found = []
    for name, command, without, mend in (
        (
            "C++ compiler",
            "c++",
            "no `compile = true`, no building of extensions; on a GPU the hash grid runs in plain torch",
            "install g++ or clang",
        ),
        ("CUDA compiler", "nvcc", "tinycudann and nvdiffrast cannot be built", "install the CUDA toolkit"),
    ):
        path = shutil.which(command)
        found.append(Finding(name, "ok", path) if path else Finding(name, "missing", f"no `{command}`", without, mend))
    return found


def _disk() -> Finding:
    folder = cache_folder()
    free = shutil.disk_usage(folder).free / 2**30
    if free < 1:
        return Finding("disk", "broken", f"{free:.1f} GiB free at {folder}", "runs stop when they save", "free some space")
    return Finding("disk", "ok", f"{free:.0f} GiB free, cache in {folder}")


def _plugins(catalog: Catalog) -> list[Finding]:
    return [
        Finding(
            f"plugin {s.name}",
            "broken",
            s.problem,
            "its parts are not there",
            f"python -m pip install --force-reinstall {s.distribution}",
        )
        if s.problem
        else Finding(f"plugin {s.name}", "ok", f"{s.distribution} {s.version}, {len(s.components)} parts")
        for s in catalog.sources
    ]
