"""The options of parts: untyped tables, as TOML and `--set` give them, into frozen dataclasses and back. Standard library only.

Fields may be bool, int, float, str, `Literal[...]`, `X | None`, `tuple[X, ...]`, `tuple[X, Y]`, `dict[str, X]`, `Schedule`,
or another such dataclass. Every mistake is a ConfigError with the path of the key and what it could have been.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
import warnings
from typing import Any, Literal, TypeVar, Union

from df3d.errors import ConfigError, did_you_mean
from df3d.schedule import Schedule

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoConfig:
    """For parts that have nothing to configure."""


def option(default: Any, help: str, *, low: float | None = None, high: float | None = None, deprecated: str = "") -> Any:
    """A dataclass field with its help text, which `df3d plugins show` and the reference pages print.

    A number, or each number of a tuple or of a schedule, is at least `low` and at most `high`; `parse` refuses others. A whole
    number needs both, because it may size memory. `deprecated` says what replaces the option: it is still read, warns, and is
    not written any more.
    """
    return dataclasses.field(default=default, metadata={"help": help, "low": low, "high": high, "deprecated": deprecated})


def parse(kind: type[T], table: dict[str, Any], path: str = "") -> T:
    """Build the dataclass `kind` from `table`; `path` names the table in messages."""
    known = hints(kind)
    for key in table:
        if key not in known:
            raise ConfigError(f"unknown key `{_join(path, key)}`", did_you_mean(key, known))
    missing = [f.name for f in dataclasses.fields(kind) if _required(f) and f.name not in table]  # type: ignore[arg-type]
    if missing:
        raise ConfigError(f"key `{_join(path, missing[0])}` is missing", f"add it to `{path or 'the recipe'}`")
    values = {key: _value(known[key], value, _join(path, key)) for key, value in table.items()}
    for f in dataclasses.fields(kind):  # type: ignore[arg-type]
        if f.name in values:
            _check_range(f, values[f.name], _join(path, f.name))
        if f.metadata.get("deprecated") and values.get(f.name, f.default) != f.default:
            warnings.warn(f"`{_join(path, f.name)}` is deprecated: {f.metadata['deprecated']}", DeprecationWarning, stacklevel=2)
    try:
        return kind(**values)
    except ValueError as error:  # from a dataclass's own __post_init__
        raise ConfigError(f"`{path}`: {error}") from None


def dump(config: Any) -> dict[str, Any]:
    """The table that `parse` reads back: defaults written out, None left out."""
    table = {}
    for f in dataclasses.fields(config):
        value = getattr(config, f.name)
        if value is not None and not f.metadata.get("deprecated"):
            table[f.name] = _plain(value)
    return table


def hints(kind: Any) -> dict[str, Any]:
    """Field names and their types, in order."""
    resolved = typing.get_type_hints(kind)
    return {f.name: resolved[f.name] for f in dataclasses.fields(kind) if f.init}


def describe(kind: Any) -> str:
    """A type as a person would say it."""
    if kind is Schedule:
        return "a number or a table { start, end, since, until }"
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return "one of " + ", ".join(f"`{a}`" for a in arguments)
    if origin in (Union, types.UnionType):
        return " or ".join(describe(a) for a in arguments if a is not type(None))
    if origin is tuple:
        inner = [a for a in arguments if a is not Ellipsis]
        return f"a list of {'numbers' if inner[0] in (int, float) else 'texts'}"
    if origin is dict:
        return "a table"
    names = {int: "a whole number", float: "a number", str: "a text", bool: "true or false"}
    return names.get(kind, f"a table of {', '.join(hints(kind))}" if dataclasses.is_dataclass(kind) else str(kind))


def options_of(config: Any, prefix: str = "") -> list[dict[str, Any]]:
    """Name, default, type and help of every option of a dataclass, those of tables inside it with their path."""
    rows = []
    types = hints(config)
    for f in dataclasses.fields(config):
        if f.metadata.get("deprecated"):
            continue
        kind = types[f.name]
        if dataclasses.is_dataclass(kind) and kind is not Schedule:
            rows += options_of(kind, f"{prefix}{f.name}.")
            continue
        default = f.default.start if isinstance(f.default, Schedule) and f.default.end is None else f.default
        spoken = ", ".join(filter(None, (describe(kind), described_range(f.metadata.get("low"), f.metadata.get("high")))))
        rows.append({"name": prefix + f.name, "default": default, "type": spoken, "help": f.metadata.get("help", "")})
    return rows


def _required(f: dataclasses.Field[Any]) -> bool:
    return f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING


def _join(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _check_range(f: dataclasses.Field[Any], value: Any, path: str) -> None:
    """Raises ConfigError when a number is outside the range that its `option` has."""
    numbers = value.ends if isinstance(value, Schedule) else value if isinstance(value, tuple) else (value,)
    low, high = f.metadata.get("low"), f.metadata.get("high")
    for number in numbers:
        if not isinstance(number, int | float) or isinstance(number, bool):
            continue
        if (low is not None and number < low) or (high is not None and number > high):
            raise ConfigError(f"`{path}` must be {described_range(low, high)}, not {number}")


def described_range(low: float | None, high: float | None) -> str:
    """`between 1 and 32`, `at least 1`, `at most 32`; "" for no range."""
    if low is not None and high is not None:
        return f"between {low:,} and {high:,}"
    return f"at least {low:,}" if low is not None else f"at most {high:,}" if high is not None else ""


def _wrong(kind: Any, value: Any, path: str) -> ConfigError:
    return ConfigError(f"`{path}` must be {describe(kind)}, not `{value}`")


def _value(kind: Any, value: Any, path: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (Union, types.UnionType):
        return _union(kind, [a for a in arguments if a is not type(None)], value, path)
    if origin is Literal:
        if value not in arguments:
            raise ConfigError(f"`{path}` cannot be `{value}`", did_you_mean(str(value), map(str, arguments)))
        return value
    if origin is tuple:
        return _tuple(kind, arguments, value, path)
    if origin is dict:
        if not isinstance(value, dict):
            raise _wrong(kind, value, path)
        return {key: _value(arguments[1], inner, _join(path, key)) for key, inner in value.items()}
    if kind is Schedule and not isinstance(value, dict):
        return Schedule(_value(float, value, path))
    if dataclasses.is_dataclass(kind):
        if isinstance(value, kind):  # type: ignore[arg-type]
            return value
        if not isinstance(value, dict):
            raise _wrong(kind, value, path)
        return parse(kind, value, path)  # type: ignore[arg-type]
    if kind is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1e300:
        return float(value)
    if kind in (int, float, str, bool) and type(value) is kind:
        if kind is float and not math.isfinite(value):
            raise _wrong(kind, value, path)
        return value
    raise _wrong(kind, value, path)


def _union(kind: Any, choices: list[Any], value: Any, path: str) -> Any:
    for choice in choices:
        try:
            return _value(choice, value, path)
        except ConfigError:
            if len(choices) == 1:
                raise
    raise _wrong(kind, value, path)


def _tuple(kind: Any, arguments: tuple[Any, ...], value: Any, path: str) -> tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise _wrong(kind, value, path)
    if arguments[-1] is Ellipsis:
        return tuple(_value(arguments[0], v, f"{path}[{i}]") for i, v in enumerate(value))
    if len(value) != len(arguments):
        raise ConfigError(f"`{path}` needs {len(arguments)} values, not {len(value)}")
    return tuple(_value(a, v, f"{path}[{i}]") for i, (a, v) in enumerate(zip(arguments, value, strict=True)))


def _plain(value: Any) -> Any:
    if isinstance(value, Schedule):
        return value.start if value.end is None else dataclasses.asdict(value)
    if dataclasses.is_dataclass(value):
        return dump(value)
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return [_plain(v) for v in value] if isinstance(value, tuple) else value
