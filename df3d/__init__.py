"""df3d: text to 3D on the command line. Everything here is light to import; torch comes with the run."""

from df3d.errors import (
    ConfigError,
    Df3dError,
    EmptyFieldError,
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
    GuidancePlugin,
    LauncherPlugin,
    NoConfig,
    RendererPlugin,
    ScorerPlugin,
)

__version__ = "0.1.0"

__all__ = [
    "Component",
    "ConfigError",
    "Df3dError",
    "EmptyFieldError",
    "ExporterPlugin",
    "FieldPlugin",
    "GuidancePlugin",
    "LauncherPlugin",
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
