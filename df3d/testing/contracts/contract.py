"""What every part promises, whatever its kind."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from copy import copy
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, ClassVar, Literal, get_args, get_origin
from unittest import SkipTest

from df3d.errors import Df3dError
from df3d.plugin.catalog import Catalog
from df3d.plugin.records import (
    Component,
    Memory,
    Workload,
    check,
)
from df3d.plugin.schema import dump, hints, parse
from df3d.schedule import Schedule

_catalog = cache(Catalog.discover)


class Contract:
    """What every part promises. A subclass says its `name`, and `options` other than the defaults."""

    kind: ClassVar[str]
    name: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}
    occasions: ClassVar[tuple[dict[str, Any], ...]] = ()  # options under which others have a say

    @property
    def catalog(self) -> Catalog:
        return _catalog()

    @property
    def record(self) -> Component:
        return self.catalog.shelf(self.kind).get(self.name)

    @property
    def config(self) -> Any:
        return parse(self.record.config, self.options)

    def test_its_record_is_sound(self) -> None:
        assert check(self.record, self.kind) is self.record

    def test_its_options_survive_being_written_and_read(self) -> None:
        assert parse(self.record.config, dump(self.config)) == self.config

    def test_its_whole_numbers_have_bounds(self) -> None:
        """They may size memory or index it, and recipes come from strangers too."""
        for option in fields(self.record.config):
            if isinstance(option.default, int) and not isinstance(option.default, bool):
                low, high = option.metadata.get("low"), option.metadata.get("high")
                assert low is not None, f"option `{option.name}` has no `low`"
                assert high is not None, f"option `{option.name}` has no `high`"

    def exercise(self, config: Any) -> None:
        """Use the part as a run does, with these options."""
        raise SkipTest("nothing here uses it as a run does")

    def test_every_option_has_a_say(self) -> None:
        """What nothing reads does nothing. Each choice of an option is tried, since others may belong to it alone."""
        asked: set[str] = set()
        for choice in [{}, *self.occasions, *_choices(self.record.config)]:
            with suppress(Df3dError, ValueError):
                self.exercise(_watched(parse(self.record.config, {**self.options, **choice}), asked))
            if _names(self.record.config) <= asked:
                break
        silent = _names(self.record.config) - asked
        assert not silent, f"nothing reads {', '.join(sorted(silent))}: give `occasions` on which it does, or leave it out"

    def test_its_target_can_be_imported(self) -> None:
        assert callable(self.record.load())

    def test_it_says_what_memory_it_takes_or_nothing(self) -> None:
        found = self.record.ask("memory", self.config, Workload(1, 64)) if not self.record.ready else None
        assert found is None or (isinstance(found, Memory) and found.bytes >= 0)

    def test_listing_it_imports_no_torch(self) -> None:
        code = (
            "import sys; from df3d.plugin.catalog import Catalog;"
            f"Catalog.discover().shelf({self.kind!r}).get({self.name!r}); sys.exit('torch' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 0


def _names(config: type) -> set[str]:
    """Options by their path, without those that are deprecated."""
    found: set[str] = set()
    for one in fields(config):
        if not one.metadata.get("deprecated"):
            found |= {f"{one.name}.{name}" for name in _names(type(one.default))} if _is_table(one.default) else {one.name}
    return found


def _is_table(value: object) -> bool:
    return is_dataclass(value) and not isinstance(value, Schedule)


def _choices(config: type) -> Iterator[dict[str, Any]]:
    """Each value of the options that are a choice among some words."""
    for name, kind in hints(config).items():
        yield from ({name: value} for value in (get_args(kind) if get_origin(kind) is Literal else ()))


def _watched(config: Any, asked: set[str], path: str = "") -> Any:
    """The same config; the paths of options that are read of it are added to `asked`."""
    known = {one.name for one in fields(config)}

    class Watched(type(config)):  # type: ignore[misc]
        def __getattribute__(self, name: str) -> Any:
            value = super().__getattribute__(name)
            if name not in known:
                return value
            if _is_table(value):
                return _watched(value, asked, f"{path}{name}.")
            asked.add(path + name)
            return value

    twin = copy(config)
    object.__setattr__(twin, "__class__", Watched)
    return twin
