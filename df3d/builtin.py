"""What df3d itself offers, by the same door as every plugin: the entry point `df3d` of its own distribution."""

from __future__ import annotations

from collections.abc import Iterable

from df3d.batches.launchers.options import LocalConfig, PrintConfig, SlurmConfig
from df3d.plugin.hookspecs import hookimpl
from df3d.plugin.records import CamerasPlugin, LauncherPlugin, OptimizerPlugin, PenaltyPlugin
from df3d.run.adam import AdamConfig
from df3d.scene.options import OrbitConfig
from df3d.system.checks import Finding
from df3d.types import Output

df3d_api = 1

_PENALTIES: tuple[tuple[str, str, set[Output]], ...] = (
    ("opacity", "keeps space empty", {"opacity"}),
    ("entropy", "makes pixels see-through or solid, nothing between", {"opacity"}),
    ("orientation", "turns normals towards the camera", {"normal", "samples"}),
    ("normal_consistency", "of a mesh: neighbouring faces look the same way", {"mesh"}),
    ("laplacian", "of a mesh: vertices lie amid their neighbours", {"mesh"}),
    ("edge_length", "of a mesh: no long edges", {"mesh"}),
    ("eikonal", "of a mesh: its signed distances grow by 1 per world unit", {"mesh"}),
)


@hookimpl
def df3d_cameras() -> Iterable[CamerasPlugin]:
    yield CamerasPlugin(
        name="orbit",
        summary="Random cameras around the object, spread over the circle",
        config=OrbitConfig,
        target="df3d.scene.cameras:OrbitCameras",
        workload="df3d.scene.options:workload",
        groups=True,
    )


@hookimpl
def df3d_penalties() -> Iterable[PenaltyPlugin]:
    for name, summary, needs in _PENALTIES:
        yield PenaltyPlugin(name=name, summary=summary, target=f"df3d.scene.penalties:{name}", needs=frozenset(needs))


@hookimpl
def df3d_optimizers() -> Iterable[OptimizerPlugin]:
    yield OptimizerPlugin(name="adam", summary="Adam, fused", config=AdamConfig, target="df3d.run.adam:adam")


@hookimpl
def df3d_launchers() -> Iterable[LauncherPlugin]:
    yield LauncherPlugin(
        name="local",
        summary="Processes on this machine",
        config=LocalConfig,
        target="df3d.batches.launchers.local:LocalLauncher",
    )
    yield LauncherPlugin(
        name="slurm",
        summary="An array of jobs on a Slurm cluster, queued again before their time is over",
        config=SlurmConfig,
        target="df3d.batches.launchers.slurm:SlurmLauncher",
        ready="df3d.batches.launchers.slurm:ready",
    )
    yield LauncherPlugin(
        name="print",
        summary="Print the workers' commands and start nothing, for whatever else runs them",
        config=PrintConfig,
        target="df3d.batches.launchers.printed:PrintLauncher",
    )


@hookimpl
def df3d_checks() -> Iterable[Finding]:
    from df3d.system.checks import findings

    yield from findings()
