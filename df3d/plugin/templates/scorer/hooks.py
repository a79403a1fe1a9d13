"""What this plugin offers."""

from collections.abc import Iterable

from df3d_my_part.config import MyPartConfig

from df3d import ScorerPlugin, hookimpl

df3d_api = 1


@hookimpl
def df3d_scorers() -> Iterable[ScorerPlugin]:
    yield ScorerPlugin(
        name="my-part",
        summary="How bright an asset is",
        config=MyPartConfig,
        target="df3d_my_part.part:MyPart",
        headline=("brightness",),
        takes=frozenset({"mesh", "gaussians"}),
    )
