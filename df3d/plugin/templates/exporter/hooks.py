"""What this plugin offers."""

from collections.abc import Iterable

from df3d_my_part.config import MyPartConfig

from df3d import ExporterPlugin, hookimpl

df3d_api = 1


@hookimpl
def df3d_exporters() -> Iterable[ExporterPlugin]:
    yield ExporterPlugin(
        name="my-part",
        summary="OFF files, shape only",
        config=MyPartConfig,
        target="df3d_my_part.part:MyPart",
        suffixes=(".off",),
        takes=frozenset({"mesh"}),
    )
