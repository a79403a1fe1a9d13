"""What this plugin offers."""

from collections.abc import Iterable

from df3d_my_part.config import MyPartConfig

from df3d import SourcePlugin, hookimpl

df3d_api = 1


@hookimpl
def df3d_sources() -> Iterable[SourcePlugin]:
    yield SourcePlugin(
        name="my-part",
        summary="A bumpy ball in one go",
        config=MyPartConfig,
        target="df3d_my_part.part:MyPart",
        makes="mesh",
        accepts=frozenset({"text"}),
    )
