"""The options of df3d's own launchers: `df3d batch --launch KEY=VALUE`."""

from __future__ import annotations

from dataclasses import dataclass

from df3d.plugin.schema import option


@dataclass(frozen=True, kw_only=True)
class LocalConfig:
    """Processes on this machine."""

    threads: int = option(0, "cores of each worker; 0 shares them out evenly", low=0, high=1024)
    gpus: float = option(1.0, "GPUs of each worker; 0.5 lets two share one", low=0.0, high=64.0)


@dataclass(frozen=True, kw_only=True)
class PrintConfig:
    """Commands for something else to run."""


@dataclass(frozen=True, kw_only=True)
class SlurmConfig:
    """An array of jobs on a Slurm cluster, each of them one worker."""

    gpus: float = option(1.0, "GPUs of each worker, a whole number; 0 for none", low=0.0, high=64.0)
    threads: int = option(4, "cores of each worker", low=1, high=1024)
    memory: str = option("", "of each worker, as sbatch's --mem takes it: 32G; empty: the partition's default")
    time: str = option("", "limit of one job, as sbatch's --time takes it: 4:00:00; empty: the partition's default")
    partition: str = option("", "where the jobs run; empty: the default partition")
    account: str = option("", "whose account they count for")
    extra: str = option("", "more options for sbatch, as one types them: --constraint=a100 --nice")
    warning: int = option(120, "seconds before its limit at which a job saves and is queued again", low=10, high=3600)
    detach: bool = option(False, "end once the jobs are submitted; `df3d batch status DIR` shows what becomes of them")
