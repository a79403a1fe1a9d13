"""What this plugin offers."""

from collections.abc import Iterable

from df3d_my_part.config import MyPartConfig

from df3d import RendererPlugin, hookimpl

df3d_api = 1


@hookimpl
def df3d_renderers() -> Iterable[RendererPlugin]:
    yield RendererPlugin(
        name="my-part",
        summary="Volume rendering with evenly spaced samples",
        config=MyPartConfig,
        target="df3d_my_part.part:MyPart",
        needs=frozenset({"volume"}),
        outputs=frozenset({"rgb", "opacity"}),
    )
