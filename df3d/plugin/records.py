"""The records plugins yield: what a part is called, how it is configured, what it fits, and where its code is.

A record names its code as text (`"package.module:name"`), imported only when a run builds it, so that listing plugins
imports nothing heavy. `config` is a frozen dataclass in a module that does not import torch, its fields made by `option`.

A record that is wrong is refused when its plugin is registered (`check`), in one sentence.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, get_args

from df3d.errors import PluginError
from df3d.plugin.schema import NoConfig, hints
from df3d.types import Output

if TYPE_CHECKING:
    import torch

    from df3d.protocols import (
        CameraSampler,
        Exporter,
        Field,
        Guidance,
        Importer,
        Launcher,
        Penalty,
        Renderer,
        Scorer,
        Source,
    )
    from df3d.types import Asset

API = 1  # the version of the plugin interface: docs/reference/stability.md
NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
TARGET = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")


@dataclass(frozen=True)
class Workload:
    """What one training step asks of a stage's parts."""

    views: int
    size: int  # height and width of a render where they are largest, pixels

    @property
    def rays(self) -> int:
        return self.views * self.size**2


@dataclass(frozen=True)
class Saving:
    """Settings with which a part needs less memory."""

    settings: Mapping[str, Any]  # the part's own options, and their new values
    words: str  # "what: how", as in "rays: drawn 4096 at a time"


@dataclass(frozen=True)
class Memory:
    """What a part will take on a GPU at its peak, and what it can give up, the cheapest first."""

    bytes: float
    savings: tuple[Saving, ...] = ()
    hint: str = ""  # what to do when all that is not enough


@dataclass(frozen=True, kw_only=True)
class Component:
    """What every kind of part has in common.

    `ready` names a function `(config)` that raises ModelError when what the part needs is not on this machine. `memory` names
    a function `(config, Workload) -> Memory`. Neither may import torch.
    """

    kind: ClassVar[str]
    hook: ClassVar[str]

    name: str
    summary: str
    target: str
    config: type = NoConfig
    ready: str | None = None
    memory: str | None = None

    def load(self) -> Any:
        """Import the target.

        Raises PluginError, with the reason, when it cannot be imported.
        """
        return load_target(self.target, f"{self.kind} `{self.name}`")

    def ask(self, what: str, *arguments: object) -> Any:
        """Call the function that the field `what` of the record names; None where it names none."""
        target = getattr(self, what, None)
        return load_target(target, f"{self.kind} `{self.name}`")(*arguments) if target else None


@dataclass(frozen=True, kw_only=True)
class FieldPlugin(Component):
    """A scene representation, built as `target(config, device=..., start_from=...)`.

    `provides` are capabilities: "volume" and "surface" are df3d's own, from which it makes a mesh; any other is a word that
    renderers know and, where the field has `asset()`, the kind of that asset. `starts_from` are capabilities of fields that
    `start_from` may have; what is imported or made by a source counts as a field too, a mesh as one with a "surface".
    """

    kind = "field"
    hook = "df3d_fields"

    provides: frozenset[str]
    starts_from: frozenset[str] = frozenset()

    def build(self, config: object, *, device: str, start_from: Field | Asset | None) -> Field:
        field: Field = self.load()(config, device=device, start_from=start_from)
        return field

    @property
    def makes(self) -> frozenset[str]:
        """The kinds of asset that it can become."""
        return (self.provides - {"volume", "surface"}) | ({"mesh"} if self.provides & {"volume", "surface"} else set())


@dataclass(frozen=True, kw_only=True)
class RendererPlugin(Component):
    """A way to draw a field that provides all of `needs`, built as `target(config, device=...)`.

    `draws` are the kinds of finished asset that it draws for pictures and scores; that of others is left to others.
    """

    kind = "renderer"
    hook = "df3d_renderers"

    needs: frozenset[str]
    outputs: frozenset[Output] = frozenset({"rgb", "opacity"})
    draws: frozenset[str] = frozenset()

    def build(self, config: object, *, device: str) -> Renderer:
        renderer: Renderer = self.load()(config, device=device)
        return renderer


@dataclass(frozen=True, kw_only=True)
class GuidancePlugin(Component):
    """A loss on renders, built as `target(config, device=...)`.

    `needs` are outputs of the renderer; `needs_with` names a function `(config) -> frozenset` of those that it needs beside
    them with these options. `accepts` are what of a prompt it can use: "text", "negative", "image", "mesh". `group` is how many
    views of one moment it judges together. `check` names a function `(text, config) -> list of notes` that reads a prompt before
    anything is loaded, and raises PromptError when the guidance cannot work with it. None of these may import torch.
    """

    kind = "guidance"
    hook = "df3d_guidance"

    needs: frozenset[Output] = frozenset({"rgb"})
    needs_with: str | None = None
    accepts: frozenset[str] = frozenset({"text", "negative"})
    group: int = 1
    check: str | None = None

    def build(self, config: object, *, device: str) -> Guidance[Any]:
        guidance: Guidance[Any] = self.load()(config, device=device)
        return guidance

    def needed(self, config: object) -> frozenset[Output]:
        """All outputs that it needs with these options."""
        return self.needs | (self.ask("needs_with", config) or frozenset())


@dataclass(frozen=True, kw_only=True)
class CamerasPlugin(Component):
    """A way to choose training cameras, built as `target(config, group=...)`.

    `workload` names a function `(config) -> Workload`, for estimates of memory. `groups`: it can make groups of several views.
    """

    kind = "cameras"
    hook = "df3d_cameras"

    workload: str | None = None
    groups: bool = False

    def build(self, config: object, *, group: int) -> CameraSampler:
        sampler: CameraSampler = self.load()(config, group=group)
        return sampler


@dataclass(frozen=True, kw_only=True)
class PenaltyPlugin(Component):
    """A function `(render, field) -> scalar`, which `target` names. Recipes give its weight."""

    kind = "penalty"
    hook = "df3d_penalties"

    needs: frozenset[Output] = frozenset()

    def build(self) -> Penalty:
        penalty: Penalty = self.load()
        return penalty


@dataclass(frozen=True, kw_only=True)
class OptimizerPlugin(Component):
    """A function `(config, parameter groups) -> torch.optim.Optimizer`, which `target` names."""

    kind = "optimizer"
    hook = "df3d_optimizers"

    def build(self, config: object, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
        optimizer: torch.optim.Optimizer = self.load()(config, groups)
        return optimizer


@dataclass(frozen=True, kw_only=True)
class SourcePlugin(Component):
    """A stage that makes its asset, or the state of its field, in one go; built as `target(config, device=...)`.

    `makes` is the kind of asset, or "state" for that of a field. `accepts` and `check` are as a guidance's.
    """

    kind = "source"
    hook = "df3d_sources"

    makes: str
    accepts: frozenset[str] = frozenset({"text", "negative"})
    check: str | None = None

    def build(self, config: object, *, device: str) -> Source:
        source: Source = self.load()(config, device=device)
        return source


@dataclass(frozen=True, kw_only=True)
class ImporterPlugin(Component):
    """Reads files whose names end in one of `suffixes`, built as `target(config)`.

    `recognises` names a function `(path) -> bool`, for one that reads only some such files: it is asked before the others.
    """

    kind = "importer"
    hook = "df3d_importers"

    suffixes: tuple[str, ...]
    recognises: str | None = None

    def build(self, config: object) -> Importer:
        importer: Importer = self.load()(config)
        return importer


@dataclass(frozen=True, kw_only=True)
class ExporterPlugin(Component):
    """A file format, built as `target(config)`; the first of `suffixes` is its usual one.

    `takes` are the kinds of asset that it writes, `usual_for` those for which it is taken where nobody names a format.
    `side_files` are the names of what it may leave beside its file, `{stem}` for the file's own name without its ending.
    """

    kind = "exporter"
    hook = "df3d_exporters"

    suffixes: tuple[str, ...]
    takes: frozenset[str] = frozenset({"mesh"})
    usual_for: frozenset[str] = frozenset()
    side_files: tuple[str, ...] = ()

    def build(self, config: object) -> Exporter:
        exporter: Exporter = self.load()(config)
        return exporter


@dataclass(frozen=True, kw_only=True)
class ScorerPlugin(Component):
    """Numbers that judge a finished asset, built as `target(config, device=...)`.

    `headline` names the measures that tables show, `lower` those of them where less is better. `takes` are the kinds of asset
    that it can judge.
    """

    kind = "scorer"
    hook = "df3d_scorers"

    headline: tuple[str, ...]
    lower: frozenset[str] = frozenset()
    takes: frozenset[str] = frozenset({"mesh"})

    def build(self, config: object, *, device: str) -> Scorer:
        scorer: Scorer = self.load()(config, device=device)
        return scorer


@dataclass(frozen=True, kw_only=True)
class LauncherPlugin(Component):
    """A way to start the workers of a batch, built as `target(config)`."""

    kind = "launcher"
    hook = "df3d_launchers"

    def build(self, config: object) -> Launcher:
        launcher: Launcher = self.load()(config)
        return launcher


KINDS: dict[str, type[Component]] = {
    record.kind: record
    for record in (
        FieldPlugin,
        RendererPlugin,
        GuidancePlugin,
        CamerasPlugin,
        PenaltyPlugin,
        OptimizerPlugin,
        SourcePlugin,
        ImporterPlugin,
        ExporterPlugin,
        ScorerPlugin,
        LauncherPlugin,
    )
}


def load_target(target: str, owner: str) -> Any:
    """Import `"package.module:name"` on behalf of `owner`."""
    module, _, name = target.partition(":")
    try:
        return getattr(import_module(module), name)
    except (Exception, SystemExit) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise PluginError(f"{owner} cannot be loaded: {reason}", "see `df3d plugins` and `df3d doctor`") from error


def check(record: object, kind: str) -> Component:
    """Refuse a record that the hook of `kind` may not yield, or that says something impossible.

    Raises PluginError with the mistake.
    """
    expected = KINDS[kind]
    if not isinstance(record, expected):
        found = f"a {type(record).__name__}" + (f" (`{record.name}`)" if isinstance(record, Component) else "")
        right = f"; that belongs into {record.hook}" if isinstance(record, Component) else ""
        raise PluginError(f"{expected.hook} yields {found} where a {expected.__name__} is expected{right}")
    wrong = next(filter(None, (complain(record) for complain in _CHECKS)), None)
    if wrong:
        raise PluginError(f"{kind} `{record.name}`: {wrong}")
    return record


def _name(record: Component) -> str | None:
    if not isinstance(record.name, str) or not NAME.fullmatch(record.name):
        return "its name must be of small letters, digits, - and _"
    return None if isinstance(record.summary, str) and record.summary else "it has no summary"


def _targets(record: Component) -> str | None:
    named = {f: getattr(record, f, None) for f in ("target", "ready", "memory", "needs_with", "check", "workload", "recognises")}
    for field, target in named.items():
        if target is not None and (not isinstance(target, str) or not TARGET.fullmatch(target)):
            return f"`{field}` must be text as in `package.module:name`, not `{target}`"
    return None


def _config(record: Component) -> str | None:
    config = record.config
    if not (isinstance(config, type) and dataclasses.is_dataclass(config) and config.__dataclass_params__.frozen):  # type: ignore[attr-defined]
        return "`config` must be a frozen dataclass"
    try:
        hints(config)
    except Exception as error:  # a type that cannot be resolved
        return f"the types of its options cannot be read: {error}"
    bare = [f.name for f in dataclasses.fields(config) if not f.metadata.get("help")]
    if bare:
        return f"option `{bare[0]}` has no help text: write `{bare[0]}: ... = option(default, help)`"
    needless = [f.name for f in dataclasses.fields(config) if f.default is dataclasses.MISSING]
    return f"option `{needless[0]}` has no default" if needless else None


def _sets(record: Component) -> str | None:
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if "frozenset" in str(field.type) and not (isinstance(value, frozenset) and all(isinstance(word, str) for word in value)):
            return f"`{field.name}` must be a frozenset of texts, not `{value}`"
        if "tuple" in str(field.type) and not (isinstance(value, tuple) and all(isinstance(word, str) for word in value)):
            return f"`{field.name}` must be a tuple of texts, not `{value}`"
    return None


def _outputs(record: Component) -> str | None:
    named: frozenset[str] = frozenset() if record.kind in ("field", "renderer") else getattr(record, "needs", frozenset())
    unknown = (named | getattr(record, "outputs", frozenset())) - set(get_args(Output))
    return f"no render has `{min(unknown)}`: outputs are {', '.join(get_args(Output))}" if unknown else None


def _words(record: Component) -> str | None:
    accepts: frozenset[str] = getattr(record, "accepts", frozenset())
    if unknown := accepts - {"text", "negative", "image", "mesh"}:
        return f"`accepts` cannot be `{min(unknown)}`: a prompt has text, negative, image, mesh"
    if getattr(record, "group", 1) < 1:
        return "`group` must be at least 1"
    suffixes = getattr(record, "suffixes", (".x",))
    if not suffixes or not all(re.fullmatch(r"\.[a-z0-9.]+", suffix) for suffix in suffixes):
        return "`suffixes` must be file name endings in small letters, each with its dot"
    return None


_CHECKS: tuple[Callable[[Component], str | None], ...] = (_name, _targets, _config, _sets, _outputs, _words)
