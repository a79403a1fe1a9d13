"""df3d: text to 3D on the command line. Everything here is light to import; torch comes with the run."""

import os

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
from df3d.hookspecs import hookimpl
from df3d.plugin import (
    Component,
    ExporterPlugin,
    FieldPlugin,
    Finding,
    GuidancePlugin,
    NoConfig,
    RendererPlugin,
    ScorerPlugin,
)

__version__ = "0.1.0"

# GNU OpenMP, which torch's CPU build uses, reads this once, when torch is imported. By default its idle threads spin for
# many milliseconds after every operation and keep the cores from df3d's own kernels.
if "OMP_WAIT_POLICY" not in os.environ:
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")

__all__ = [
    "Component",
    "ConfigError",
    "Df3dError",
    "EmptyFieldError",
    "ExportError",
    "ExporterPlugin",
    "FieldPlugin",
    "Finding",
    "GuidancePlugin",
    "ModelError",
    "NoConfig",
    "PluginError",
    "PromptError",
    "RendererPlugin",
    "RunError",
    "ScorerPlugin",
    "__version__",
    "hookimpl",
]
