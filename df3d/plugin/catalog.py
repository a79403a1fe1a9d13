"""Which plugins are installed and what they offer. One that is broken is remembered, and stops nothing else."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint, distributions, entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import pluggy

from df3d.errors import PluginError, did_you_mean
from df3d.plugin import hookspecs
from df3d.plugin.records import (
    API,
    KINDS,
    CamerasPlugin,
    Component,
    ExporterPlugin,
    FieldPlugin,
    GuidancePlugin,
    ImporterPlugin,
    LauncherPlugin,
    OptimizerPlugin,
    PenaltyPlugin,
    RendererPlugin,
    ScorerPlugin,
    SourcePlugin,
    check,
)
from df3d.system.checks import Finding

if TYPE_CHECKING:
    import typer

    from df3d.events import Event

Record = TypeVar("Record", bound=Component)
HOOKS = tuple(name for name in vars(hookspecs) if name.startswith("df3d_"))


@dataclass
class InstalledPlugin:
    """One entry point, and what became of it."""

    name: str
    distribution: str
    version: str
    components: list[Component] = field(default_factory=list)
    problem: str = ""  # why it is broken, in one line
    module: object = None  # where its hooks are; None when broken
    watches: bool = True  # whether it is told of events


class Shelf(Generic[Record]):
    """All parts of one kind, by name."""

    def __init__(self, catalog: Catalog, record: type[Record]) -> None:
        self._catalog, self._record = catalog, record

    def get(self, name: str) -> Record:
        """The record of one part.

        Raises PluginError with the nearest names, what broke plugins and, for a part that is well known, how to install it.
        """
        for part in self:
            if part.name == name:
                return part
        raise self._catalog.missing(self._record.kind, name)

    def names(self) -> list[str]:
        return sorted(part.name for part in self)

    def __iter__(self) -> Iterator[Record]:
        for plugin in self._catalog.plugins:
            for part in plugin.components:
                if isinstance(part, self._record):
                    yield part


class Catalog:
    """All that plugins offer, by kind and name. `Catalog.discover()` makes the usual one."""

    def __init__(self) -> None:
        self.plugins: list[InstalledPlugin] = []
        self._manager = pluggy.PluginManager("df3d")
        self._manager.add_hookspecs(hookspecs)
        self.fields = Shelf(self, FieldPlugin)
        self.renderers = Shelf(self, RendererPlugin)
        self.guidance = Shelf(self, GuidancePlugin)
        self.cameras = Shelf(self, CamerasPlugin)
        self.penalties = Shelf(self, PenaltyPlugin)
        self.optimizers = Shelf(self, OptimizerPlugin)
        self.sources = Shelf(self, SourcePlugin)
        self.importers = Shelf(self, ImporterPlugin)
        self.exporters = Shelf(self, ExporterPlugin)
        self.scorers = Shelf(self, ScorerPlugin)
        self.launchers = Shelf(self, LauncherPlugin)

    @classmethod
    def discover(cls) -> Catalog:
        """Load every plugin of the entry-point group `df3d`, except those named in DF3D_DISABLE_PLUGINS (`*`: all)."""
        catalog = cls()
        disabled = {name.strip() for name in os.environ.get("DF3D_DISABLE_PLUGINS", "").split(",")}
        for entry in sorted(_entry_points(), key=lambda entry: entry.name):
            if not disabled & {entry.name, "*"}:
                catalog._add_entry_point(entry)
        return catalog

    def _add_entry_point(self, entry: EntryPoint) -> None:
        plugin = InstalledPlugin(entry.name, *_owner(entry))
        self.plugins.append(plugin)
        with self._guarded(plugin):
            self._register(entry.load(), plugin)

    def add(self, module: object) -> InstalledPlugin:
        """Register a plugin module or object that is not installed.

        Raises PluginError when something is wrong with it.
        """
        plugin = InstalledPlugin(getattr(module, "__name__", type(module).__name__), "local", "")
        self.plugins.append(plugin)
        with self._guarded(plugin):
            self._register(module, plugin)
        if plugin.problem:
            raise PluginError(f"plugin `{plugin.name}` is broken: {plugin.problem}")
        return plugin

    def _register(self, module: object, plugin: InstalledPlugin) -> None:
        plugin.module = module
        _check_module(module)
        self._manager.register(module)
        self._manager.check_pending()
        for kind, record in KINDS.items():
            for found in self._yielded(plugin, record.hook):
                self._add_component(check(found, kind), plugin)

    def _add_component(self, part: Component, plugin: InstalledPlugin) -> None:
        for other in self.plugins:
            if any((known.kind, known.name) == (part.kind, part.name) for known in other.components):
                by = (
                    f"both {other.distribution} and {plugin.distribution}"
                    if other is not plugin
                    else f"{plugin.distribution} twice"
                )
                raise PluginError(f"{part.kind} `{part.name}` is offered by {by}")
        plugin.components.append(part)

    @contextmanager
    def _guarded(self, plugin: InstalledPlugin) -> Iterator[None]:
        """Run a plugin's code; what it raises becomes its `problem`, and it is taken out again."""
        try:
            yield
        except (Exception, SystemExit) as error:
            plugin.problem = _in_a_line(error)
            plugin.components = []
            if self._manager.is_registered(plugin.module):
                self._manager.unregister(plugin.module)
            plugin.module = None

    # ------------------------------------------------------------------------------------------ looking up
    def shelf(self, kind: str) -> Shelf[Component]:
        """All parts of a kind that is only known as a word."""
        return Shelf(self, KINDS[kind])

    def owner(self, part: Component) -> InstalledPlugin:
        """The plugin that offers a part."""
        return next(plugin for plugin in self.plugins if any(part is known for known in plugin.components))

    def find(self, name: str) -> list[Component]:
        """Every part called `name`, of any kind."""
        return [part for plugin in self.plugins for part in plugin.components if part.name == name]

    def missing(self, kind: str, name: str) -> PluginError:
        """What to say when there is no such part."""
        names = self.shelf(kind).names()
        for plugin in self.plugins:
            if plugin.problem and name in (plugin.name, plugin.distribution, *plugin.name.split("-")):
                hint = did_you_mean(name, names)
                return PluginError(f"plugin `{plugin.name}` ({plugin.distribution}) is broken: {plugin.problem}", hint)
        if (distribution := well_known().get((kind, name))) is not None:
            return PluginError(f"{kind} `{name}` is not installed", f"df3d plugins install {distribution}")
        hint = did_you_mean(name, names)
        broken = [f"{plugin.name} ({plugin.problem})" for plugin in self.plugins if plugin.problem]
        if broken:
            hint += f"; broken plugins: {', '.join(broken)}"
        return PluginError(f"there is no {kind} `{name}`", hint)

    # ------------------------------------------------------------------------------------------ other hooks
    @cached_property
    def recipe_folders(self) -> list[Path]:
        """The folders in which recipes are looked for."""
        return [Path(folder) for folder in self._ask("df3d_recipes")]

    def add_commands(self, app: typer.Typer) -> None:
        self._tell("df3d_commands", app=app)

    def checks(self) -> list[Finding]:
        """What plugins have to say to `df3d doctor`."""
        return self._ask("df3d_checks")

    def on_event(self, event: Event) -> list[str]:
        """Tell every plugin that watches; the run, and the plugin's parts in it, go on whatever they do.

        One that raises is not told again; returned is a sentence for each that did.
        """
        problems = []
        for plugin in self.plugins:
            if plugin.module is not None and not plugin.problem and plugin.watches:
                try:
                    self._call(plugin, "df3d_on_event", event=event)
                except (Exception, SystemExit) as error:
                    plugin.watches = False
                    problems.append(f"plugin `{plugin.name}` watches the run no longer: {_in_a_line(error)}")
        return problems

    def _ask(self, hook: str) -> list[Any]:
        """What every plugin's hook yields. One that raises is broken from then on."""
        found: list[Any] = []
        for plugin in self.plugins:
            with self._guarded(plugin):
                found += self._yielded(plugin, hook)
        return found

    def _tell(self, hook: str, **arguments: object) -> None:
        """Call every plugin's hook. One that raises is broken from then on."""
        for plugin in self.plugins:
            with self._guarded(plugin):
                self._call(plugin, hook, **arguments)

    def _yielded(self, plugin: InstalledPlugin, hook: str) -> list[Any]:
        return [item for answer in self._call(plugin, hook) for item in answer]

    def _call(self, plugin: InstalledPlugin, hook: str, **arguments: object) -> list[Any]:
        """What one plugin's implementations of a hook return, called by pluggy; nothing when it has none."""
        if plugin.module is None:
            return []
        others = [module for module in self._manager.get_plugins() if module is not plugin.module]
        answers: list[Any] = self._manager.subset_hook_caller(hook, others)(**arguments)
        return answers


def _entry_points() -> list[EntryPoint]:
    """All of the group `df3d`. One damaged package, of whatever kind, hides no other."""
    try:
        return list(entry_points(group="df3d"))
    except Exception:  # what a damaged file raises depends on where it is damaged
        found: dict[str, list[EntryPoint]] = {}
        for distribution in distributions():
            with suppress(Exception):
                found.setdefault(distribution.name, list(distribution.entry_points.select(group="df3d")))
        return [entry for entries in found.values() for entry in entries]


def _owner(entry: EntryPoint) -> tuple[str, str]:
    """The name and version of the distribution of an entry point; "?" where its metadata are damaged."""
    try:
        return (str(entry.dist.name or "?"), str(entry.dist.version or "")) if entry.dist else ("?", "")
    except Exception:  # as above
        return "?", ""


def _check_module(module: object) -> None:
    """Raises PluginError for a hook without its mark, and for another version of the interface."""
    api = getattr(module, "df3d_api", API)
    if api != API:
        raise PluginError(f"it is written for plugin API {api}, and this df3d has {API}: install a version that fits")
    for name in dir(module):
        if name in HOOKS and callable(getattr(module, name)) and not hasattr(getattr(module, name), "df3d_impl"):
            raise PluginError(f"its function {name} has no @hookimpl")


def _in_a_line(error: BaseException) -> str:
    """What a plugin raised, in one line."""
    text = str(error).strip().splitlines()
    if isinstance(error, PluginError):
        return error.message
    if isinstance(error, pluggy.PluginValidationError) and "unknown hook" in text[0]:
        name = text[0].split("'")[1]
        return f"there is no hook {name}; {did_you_mean(name, HOOKS)}"
    if isinstance(error, pluggy.PluginValidationError) and (wrong := re.search(r"Argument\(s\) \{(.*?)\}", str(error))):
        hook = re.findall(r"for hook '(\w+)'", str(error))
        return f"its {hook[0] if hook else 'hook'} takes {wrong[1]}, which that hook does not have"
    return f"{type(error).__name__}: {text[0] if text else 'no message'}"


def well_known() -> Mapping[tuple[str, str], str]:
    """Distributions by the (kind, name) of parts that many recipes use."""
    with (Path(__file__).parent / "well_known.csv").open(encoding="utf-8", newline="") as file:
        return {(row["kind"], row["name"]): row["distribution"] for row in csv.DictReader(file)}
