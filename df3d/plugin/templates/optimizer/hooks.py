"""What this plugin offers."""

from collections.abc import Iterable

from df3d_my_part.config import MyPartConfig

from df3d import OptimizerPlugin, hookimpl

df3d_api = 1


@hookimpl
def df3d_optimizers() -> Iterable[OptimizerPlugin]:
    yield OptimizerPlugin(
        name="my-part",
        summary="Gradient descent with momentum",
        config=MyPartConfig,
        target="df3d_my_part.part:my_part",
    )
