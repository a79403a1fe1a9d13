"""What this plugin offers."""

from __future__ import annotations

from collections.abc import Iterable

from df3d import LauncherPlugin, hookimpl
from df3d_ray.config import RayConfig

df3d_api = 1


@hookimpl
def df3d_launchers() -> Iterable[LauncherPlugin]:
    yield LauncherPlugin(
        name="ray",
        summary="Actors on a Ray cluster, or on this machine",
        config=RayConfig,
        target="df3d_ray.launcher:RayLauncher",
        ready="df3d_ray.config:ready",
    )
