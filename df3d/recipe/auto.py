"""`--recipe auto`: of the recipes that offer themselves for a device, the strongest whose parts are ready."""

from __future__ import annotations

from collections.abc import Iterator

from df3d.errors import ConfigError, Df3dError
from df3d.events import Notice
from df3d.plugin.catalog import Catalog
from df3d.recipe.checks import check_ready
from df3d.recipe.compose import compose
from df3d.recipe.plan import Plan
from df3d.recipe.recipe import Recipe, available, read
from df3d.recipe.settings import Settings, override


def choose(catalog: Catalog, settings: Settings, *, device: str, why: str) -> tuple[Plan, Notice]:
    """The plan of the recipe, and a notice that says which it is and `why` the device, "cpu" or "cuda", is what it is.

    Raises ConfigError when no recipe can be used, with the reason of the strongest.
    """
    reasons: list[Df3dError] = []
    for recipe in candidates(catalog, device):
        try:
            plan = compose(override(recipe, settings, catalog), catalog)
            check_ready(plan)
        except Df3dError as error:
            reasons.append(error)
            continue
        because = "; ".join([why, *(f"{error.message} ({error.hint})" for error in reasons)])
        return plan, Notice(f"recipe `{recipe.name}`, since {because}", instead=bool(reasons))
    if reasons:
        raise reasons[0]
    raise ConfigError("no recipe offers itself for this machine", "choose one with --recipe; `df3d recipes` lists them")


def candidates(catalog: Catalog, device: str) -> Iterator[Recipe]:
    """Recipes that offer themselves for a device, the strongest first."""
    found: list[Recipe] = []
    for path in available(catalog).values():
        try:
            found.append(read(path))
        except Df3dError:  # `df3d recipes` shows it
            continue
    yield from sorted((r for r in found if r.default_for.get(device)), key=lambda r: -r.default_for[device])
