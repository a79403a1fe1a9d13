"""What this plugin offers."""

from collections.abc import Iterable

from df3d_my_part.config import MyPartConfig

from df3d import LauncherPlugin, hookimpl

df3d_api = 1


@hookimpl
def df3d_launchers() -> Iterable[LauncherPlugin]:
    yield LauncherPlugin(
        name="my-part",
        summary="Processes on this machine that give way to others",
        config=MyPartConfig,
        target="df3d_my_part.part:MyPart",
    )
