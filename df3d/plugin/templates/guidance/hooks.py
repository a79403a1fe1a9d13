"""What this plugin offers."""

from collections.abc import Iterable

from df3d_my_part.config import MyPartConfig

from df3d import GuidancePlugin, hookimpl

df3d_api = 1


@hookimpl
def df3d_guidance() -> Iterable[GuidancePlugin]:
    yield GuidancePlugin(
        name="my-part",
        summary="Wants every render in one colour",
        config=MyPartConfig,
        target="df3d_my_part.part:MyPart",
        needs=frozenset({"rgb"}),
        accepts=frozenset({"text"}),
    )
