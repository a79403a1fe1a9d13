"""The records plugins yield: what a part is called, how it is configured, what it fits, and where its code is.

A record names its class as text (`"package.module:Class"`), imported only when a run builds it, so that listing
plugins imports nothing heavy. `config` is a frozen dataclass in a module that does not import torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from df3d.errors import PluginError


@dataclass(frozen=True, kw_only=True)
class Component:
    """What every kind of part has in common."""

    name: str
    summary: str
    config: type
    target: str

    def load(self) -> Any:
        """Import the target.

        Raises PluginError, with the reason, when it cannot be imported.
        """
        return load_target(self.target, f"plugin `{self.name}`")


@dataclass(frozen=True, kw_only=True)
class FieldPlugin(Component):
    """A scene representation, built as `target(config, device=..., start_from=...)`."""

    provides: frozenset[str]
    starts_from: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class RendererPlugin(Component):
    """A way to draw a field that provides `needs`, built as `target(config, device=...)`."""

    needs: frozenset[str]
    outputs: frozenset[str] = frozenset({"rgb", "opacity"})


@dataclass(frozen=True, kw_only=True)
class GuidancePlugin(Component):
    """A loss on renders, built as `target(config, device=...)`.

    `check` names a function `(text) -> list of notes` that reads a prompt before anything is loaded; it raises
    PromptError when the guidance cannot work with it, and must not import torch. `ready` names a function `(config)`
    that raises ModelError when what the guidance needs is not on this machine; it must not import torch either. `fit`
    names a function `(config, stage's table, bytes) -> (settings by path, notes)` that says with which settings the stage
    fits into so much memory, and what that gives up; it raises ModelError when none does.
    """

    needs: frozenset[str] = frozenset({"rgb"})
    check: str | None = None
    ready: str | None = None
    fit: str | None = None


@dataclass(frozen=True, kw_only=True)
class ScorerPlugin(Component):
    """Numbers that judge a finished asset, built as `target(config, device=...)`.

    `headline` names the measures that tables show, `lower` those of them where less is better. `ready` names a function
    `(config)` that raises ModelError when what the scorer needs is not on this machine; it must not import torch.
    """

    headline: tuple[str, ...]
    lower: frozenset[str] = frozenset()
    ready: str | None = None


@dataclass(frozen=True, kw_only=True)
class ExporterPlugin(Component):
    """A file format, built as `target(config)`; the first of `suffixes` is its usual one.

    `read` names a function `(path) -> Asset` that reads such files, and raises ExportError when it cannot.
    """

    suffixes: tuple[str, ...]
    read: str | None = None


@dataclass(frozen=True)
class Finding:
    """One thing that `df3d doctor` looked at. `needed`: nothing runs without it."""

    what: str
    state: Literal["ok", "missing", "broken"]
    detail: str
    without: str = ""  # what it costs to be without
    mend: str = ""  # the one command
    needed: bool = False


@dataclass(frozen=True, kw_only=True)
class NoConfig:
    """For parts that have nothing to configure."""


def load_target(target: str, owner: str) -> Any:
    """Import `"package.module:name"` on behalf of `owner`."""
    module, _, name = target.partition(":")
    try:
        return getattr(import_module(module), name)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PluginError(f"{owner} cannot be loaded: {reason}", "see `df3d plugins` and `df3d doctor`") from error
