"""What this plugin offers."""

from collections.abc import Iterable

from df3d_my_part.config import MyPartConfig

from df3d import PenaltyPlugin, hookimpl

df3d_api = 1


@hookimpl
def df3d_penalties() -> Iterable[PenaltyPlugin]:
    yield PenaltyPlugin(
        name="my-part",
        summary="Keeps renders from being dark",
        config=MyPartConfig,
        target="df3d_my_part.part:my_part",
        needs=frozenset({"rgb"}),
    )
