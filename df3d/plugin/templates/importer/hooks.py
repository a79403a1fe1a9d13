"""What this plugin offers."""

from collections.abc import Iterable

from df3d_my_part.config import MyPartConfig

from df3d import ImporterPlugin, hookimpl

df3d_api = 1


@hookimpl
def df3d_importers() -> Iterable[ImporterPlugin]:
    yield ImporterPlugin(
        name="my-part",
        summary="OFF files, shape only",
        config=MyPartConfig,
        target="df3d_my_part.part:MyPart",
        suffixes=(".off",),
    )
