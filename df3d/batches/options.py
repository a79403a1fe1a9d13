"""The options of df3d's own launchers."""

from __future__ import annotations

from dataclasses import dataclass

from df3d.plugin.schema import option


@dataclass(frozen=True, kw_only=True)
class LocalConfig:
    """Processes on this machine."""

    threads: int = option(0, "cores of each worker; 0 shares them out evenly", low=0, high=1024)


@dataclass(frozen=True, kw_only=True)
class PrintConfig:
    """Commands for something else to run."""
