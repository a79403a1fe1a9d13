"""`df3d recipes`: which there are, and every number of one."""

from __future__ import annotations

import typer

from df3d.cli.context import Debug, catalog_of, show, table
from df3d.errors import Df3dError


def recipes(
    context: typer.Context,
    action: str = typer.Argument("list", help="`list`, or `show` and a NAME."),
    name: str | None = typer.Argument(None, help="A recipe's name or file, with `show`."),
    set_: list[str] = typer.Option([], "--set", "-s", metavar="KEY=VALUE", help="Show it with this change; repeatable."),
    debug: Debug = False,
) -> None:
    """List recipes, or print one whole, as TOML that `--recipe FILE` reads back."""
    from df3d.recipe import recipe
    from df3d.recipe.compose import compose
    from df3d.recipe.settings import override, parse_setting

    catalog = catalog_of(context)
    if action == "show" and name:
        chosen = override(recipe.find(name, catalog), map(parse_setting, set_), catalog)
        print(compose(chosen, catalog).recipe.toml(), end="")
    elif action == "list" and name is None:
        rows = table("recipe", "stages", "summary")
        for path in recipe.available(catalog).values():
            try:
                found = recipe.read(path)
                stages = ", ".join(f"{s.name} ({s.steps})" if s.steps else s.name for s in found.stages)
                rows.add_row(path.stem, stages, found.summary)
            except Df3dError as error:
                rows.add_row(path.stem, "", f"broken: {error.message}")
        show(rows)
    else:
        raise typer.BadParameter("use `df3d recipes` or `df3d recipes show NAME`")
