"""What this plugin offers."""

from collections.abc import Iterable

from df3d_my_part.config import MyPartConfig

from df3d import CamerasPlugin, hookimpl

df3d_api = 1


@hookimpl
def df3d_cameras() -> Iterable[CamerasPlugin]:
    yield CamerasPlugin(
        name="my-part",
        summary="Cameras on a ring, turned a little at each step",
        config=MyPartConfig,
        target="df3d_my_part.part:MyPart",
        workload="df3d_my_part.config:workload",
    )
