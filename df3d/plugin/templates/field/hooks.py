"""What this plugin offers."""

from collections.abc import Iterable

from df3d_my_part.config import MyPartConfig

from df3d import FieldPlugin, hookimpl

df3d_api = 1


@hookimpl
def df3d_fields() -> Iterable[FieldPlugin]:
    yield FieldPlugin(
        name="my-part",
        summary="A soft ball of one colour",
        config=MyPartConfig,
        target="df3d_my_part.part:MyPart",
        provides=frozenset({"volume"}),
    )
