"""What every kind of part promises, as tests: one class a kind, in a file of its own."""

from __future__ import annotations

from df3d.plugin.records import KINDS
from df3d.testing.contracts.cameras import CamerasContract
from df3d.testing.contracts.contract import Contract
from df3d.testing.contracts.exporter import ExporterContract
from df3d.testing.contracts.field import FieldContract
from df3d.testing.contracts.guidance import GuidanceContract
from df3d.testing.contracts.importer import ImporterContract
from df3d.testing.contracts.launcher import LauncherContract
from df3d.testing.contracts.optimizer import OptimizerContract
from df3d.testing.contracts.penalty import PenaltyContract
from df3d.testing.contracts.renderer import RendererContract
from df3d.testing.contracts.scorer import ScorerContract
from df3d.testing.contracts.source import SourceContract

CONTRACTS: dict[str, type[Contract]] = {contract.kind: contract for contract in Contract.__subclasses__()}
assert set(CONTRACTS) == set(KINDS)

__all__ = [
    "CONTRACTS",
    "CamerasContract",
    "Contract",
    "ExporterContract",
    "FieldContract",
    "GuidanceContract",
    "ImporterContract",
    "LauncherContract",
    "OptimizerContract",
    "PenaltyContract",
    "RendererContract",
    "ScorerContract",
    "SourceContract",
]
