"""Which plugins are installed and what they offer. One that is broken is remembered, and stops nothing else."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

import pluggy

from df3d import hookspecs
from df3d.errors import PluginError, did_you_mean
from df3d.plugin import Component, Finding

KINDS = {
    "field": "df3d_fields",
    "renderer": "df3d_renderers",
    "guidance": "df3d_guidance",
    "scorer": "df3d_scorers",
    "exporter": "df3d_exporters",
}


@dataclass
class Source:
    """One installed plugin: an entry point, and what became of it."""

    name: str
    distribution: str
    version: str
    components: list[tuple[str, Component]] = field(default_factory=list)  # (kind, record)
    problem: str = ""  # why it is broken, in one line
    module: object = None  # where its hooks are; None when broken


class Catalog:
    """All that plugins offer, by kind and name. `Catalog.discover()` makes the usual one."""

    def __init__(self) -> None:
        self.sources: list[Source] = []
        self._manager = pluggy.PluginManager("df3d")
        self._manager.add_hookspecs(hookspecs)
        self._components: dict[tuple[str, str], tuple[Component, Source]] = {}

    @classmethod
    def discover(cls) -> Catalog:
        """Load every plugin of the entry-point group `df3d`, except those named in DF3D_DISABLE_PLUGINS (`*`: all)."""
        catalog = cls()
        disabled = {name.strip() for name in os.environ.get("DF3D_DISABLE_PLUGINS", "").split(",")}
        for entry in sorted(entry_points(group="df3d"), key=lambda entry: entry.name):
            if not disabled & {entry.name, "*"}:
                catalog._add_entry_point(entry)
        return catalog

    def _add_entry_point(self, entry: EntryPoint) -> None:
        distribution = entry.dist.name if entry.dist else "?"
        source = Source(entry.name, distribution, entry.dist.version if entry.dist else "")
        with self._guarded(source):
            self.add(entry.load(), source)

    def add(self, module: object, source: Source | None = None) -> None:
        """Register one plugin module or object."""
        source = source or Source(getattr(module, "__name__", type(module).__name__), "local", "")
        if source not in self.sources:
            self.sources.append(source)
        source.module = module
        self._manager.register(module)
        self._manager.check_pending()
        for kind, hook in KINDS.items():
            for component in _answers(module, hook):
                self._add_component(kind, component, source)

    def _add_component(self, kind: str, component: Component, source: Source) -> None:
        key = (kind, component.name)
        if key in self._components:
            other = self._components[key][1]
            raise PluginError(f"{kind} `{component.name}` is offered by both {other.distribution} and {source.distribution}")
        self._components[key] = (component, source)
        source.components.append((kind, component))

    @contextmanager
    def _guarded(self, source: Source) -> Iterator[None]:
        """Run a plugin's code; what it raises becomes its `problem`, and it is taken out again."""
        if source not in self.sources:
            self.sources.append(source)
        try:
            yield
        except Exception as error:
            text = str(error).strip().splitlines()
            source.problem = f"{type(error).__name__}: {text[0] if text else 'no message'}"
            for kind, component in source.components:
                self._components.pop((kind, component.name), None)
            source.components = []
            if self._manager.is_registered(source.module):
                self._manager.unregister(source.module)
            source.module = None

    def names(self, kind: str) -> list[str]:
        return sorted(name for other, name in self._components if other == kind)

    def get(self, kind: str, name: str) -> Component:
        """The record of one part.

        Raises PluginError with the nearest names and, when plugins are broken, what broke them.
        """
        if (kind, name) in self._components:
            return self._components[kind, name][0]
        hint = did_you_mean(name, self.names(kind))
        for source in self.sources:
            if source.problem and name in (source.name, source.distribution, *source.name.split("-")):
                raise PluginError(f"plugin `{source.name}` ({source.distribution}) is broken: {source.problem}", hint)
        broken = [f"{s.name} ({s.problem})" for s in self.sources if s.problem]
        if broken:
            hint += f"; broken plugins: {', '.join(broken)}"
        raise PluginError(f"there is no {kind} `{name}`", hint)

    def find(self, name: str) -> list[tuple[str, Component, Source]]:
        """Every part called `name`, of any kind."""
        return [(kind, c, s) for (kind, other), (c, s) in self._components.items() if other == name]

    @cached_property
    def recipe_folders(self) -> list[Path]:
        """The folders in which recipes are looked for, df3d's own first."""
        return [Path(__file__).parent / "recipes", *self._ask("df3d_recipes")]

    def add_commands(self, app: Any) -> None:
        self._tell("df3d_commands", app=app)

    def checks(self) -> list[Finding]:
        """What plugins have to say to `df3d doctor`."""
        return self._ask("df3d_checks")

    def on_event(self, event: Any) -> None:
        """Tell every plugin that watches; the run goes on whatever they do."""
        self._tell("df3d_on_event", event=event)

    def _ask(self, hook: str) -> list[Any]:
        """What every plugin's hook yields. One that raises is broken from then on."""
        found: list[Any] = []
        for source in self.sources:
            with self._guarded(source):
                found += _answers(source.module, hook)
        return found

    def _tell(self, hook: str, **arguments: Any) -> None:
        """Call every plugin's hook, whatever it returns. One that raises is broken from then on."""
        for source in self.sources:
            implementation = getattr(source.module, hook, None)
            if implementation is not None:
                with self._guarded(source):
                    implementation(**arguments)


def _answers(module: object, hook: str) -> Iterable[Any]:
    """What a plugin's hook yields; nothing when it does not have that hook."""
    implementation = getattr(module, hook, None)
    return () if implementation is None else implementation()
