"""All public names and signatures, as text: `python tests/public_api.py` writes them to tests/data/public_api.txt.

A change of that file is a change of the interface: see docs/reference/stability.md.
"""

from __future__ import annotations

import dataclasses
import inspect
import pkgutil
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import df3d

LIST = Path(__file__).parent / "data" / "public_api.txt"
MODULES = ("df3d.types", "df3d.protocols", "df3d.schedule", "df3d.prompt", "df3d.errors", "df3d.events", "df3d.testing")
PACKAGES = ("df3d.scene", "df3d.mesh", "df3d.system")
HOOKS = ("df3d.plugin.hookspecs", "df3d.plugin.records")


def listing() -> str:
    """One line a name, class by class and module by module."""
    lines = [f"df3d.API {df3d.API}", *(f"df3d.{name}" for name in df3d.__all__)]
    names = [*MODULES, *HOOKS]
    for package in PACKAGES:
        names += [f"{package}.{found.name}" for found in pkgutil.iter_modules(import_module(package).__path__)]
    for name in sorted(names):
        lines += module_lines(import_module(name))
    return "\n".join(lines) + "\n"


def module_lines(module: ModuleType) -> Iterator[str]:
    shown = getattr(module, "__all__", None) or [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and getattr(value, "__module__", "") == module.__name__
    ]
    for name in sorted(shown):
        value = getattr(module, name)
        place = f"{module.__name__}.{name}"
        if inspect.isclass(value):
            yield place + "(" + ", ".join(base.__name__ for base in value.__bases__ if base is not object) + ")"
            yield from class_lines(value, place)
        else:
            yield place + (signature(value) if callable(value) else "")


def class_lines(kind: type, place: str) -> Iterator[str]:
    if dataclasses.is_dataclass(kind):
        for field in dataclasses.fields(kind):
            given = field.default is not dataclasses.MISSING or field.default_factory is not dataclasses.MISSING
            yield f"{place}.{field.name}: {field.type}{' (has a default)' if given else ''}"
    for name, member in sorted(vars(kind).items()):
        if not name.startswith("_") and (inspect.isfunction(member) or isinstance(member, property | classmethod | staticmethod)):
            function = getattr(member, "fget", None) or getattr(member, "__func__", member)
            yield f"{place}.{name}{signature(function)}"


def signature(function: object) -> str:
    try:
        shown = str(inspect.signature(function))  # type: ignore[arg-type]
        return re.sub(r"= RenderRequest\(.*?\}\)\)", "= AT_BEST", shown)  # whose set has no order
    except (TypeError, ValueError):
        return ""


if __name__ == "__main__":
    LIST.write_text(listing())
