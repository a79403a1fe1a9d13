"""df3d: text to 3D on the command line, and from Python. Light to import; torch comes with the first call that needs it.

import df3d
run = df3d.generate("a red car", out="runs/car", set={"field.levels": 10}, on_event=print)
run.asset, run.mesh(), run.scores(), run            # in a notebook a run shows its turntable
df3d.evaluate(["runs/car"]), df3d.export(run, "obj"), df3d.render("car.glb")
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING

from df3d.errors import (
    ConfigError,
    Df3dError,
    EmptyFieldError,
    ExportError,
    ModelError,
    PluginError,
    PromptError,
    RunError,
)
from df3d.plugin.hookspecs import hookimpl
from df3d.plugin.records import (
    API,
    CamerasPlugin,
    Component,
    ExporterPlugin,
    FieldPlugin,
    GuidancePlugin,
    ImporterPlugin,
    LauncherPlugin,
    Memory,
    OptimizerPlugin,
    PenaltyPlugin,
    RendererPlugin,
    Saving,
    ScorerPlugin,
    SourcePlugin,
    Workload,
)
from df3d.plugin.schema import NoConfig, option, parse
from df3d.prompt import Picture, Prompt
from df3d.schedule import Schedule, Step
from df3d.system.checks import Finding
from df3d.types import Asset, Gaussians, GaussiansAsset, Material, Mesh, MeshAsset, RenderRequest, TensorRule

if TYPE_CHECKING:
    from df3d.api import Run, batch, evaluate, export, generate, load, render

__version__ = "0.1.0"

# GNU OpenMP, which torch's CPU build uses, reads this once, when torch is imported. By default its idle threads spin for
# many milliseconds after every operation and keep the cores from df3d's own kernels.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")

_FROM_API = ("Run", "batch", "evaluate", "export", "generate", "load", "render")


def __getattr__(name: str) -> object:
    if name in _FROM_API:
        return getattr(import_module("df3d.api"), name)
    raise AttributeError(f"module `df3d` has no attribute `{name}`")


__all__ = [
    "API",
    "Asset",
    "CamerasPlugin",
    "Component",
    "ConfigError",
    "Df3dError",
    "EmptyFieldError",
    "ExportError",
    "ExporterPlugin",
    "FieldPlugin",
    "Finding",
    "Gaussians",
    "GaussiansAsset",
    "GuidancePlugin",
    "ImporterPlugin",
    "LauncherPlugin",
    "Material",
    "Memory",
    "Mesh",
    "MeshAsset",
    "ModelError",
    "NoConfig",
    "OptimizerPlugin",
    "PenaltyPlugin",
    "Picture",
    "PluginError",
    "Prompt",
    "PromptError",
    "RenderRequest",
    "RendererPlugin",
    "Run",
    "RunError",
    "Saving",
    "Schedule",
    "ScorerPlugin",
    "SourcePlugin",
    "Step",
    "TensorRule",
    "Workload",
    "__version__",
    "batch",
    "evaluate",
    "export",
    "generate",
    "hookimpl",
    "load",
    "option",
    "parse",
    "render",
]
