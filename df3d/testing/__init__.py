"""Contract tests for plugin authors: subclass one, name the part, and pytest does the rest.

    from df3d.testing import GuidanceContract

    class TestRed(GuidanceContract):
        name = "red"

The part is built by its name, through the catalog, on the CPU, as a run builds it. What a record `needs` is what its contract
feeds. `df3d plugins check NAME` runs the same tests on what is installed.
"""

from __future__ import annotations

from contextlib import suppress

with suppress(ImportError):  # only tests need it: its messages say what both sides of an assertion were
    import pytest

    pytest.register_assert_rewrite("df3d.testing.contracts")

from df3d.testing.contracts import (
    CamerasContract,
    Contract,
    ExporterContract,
    FieldContract,
    GuidanceContract,
    ImporterContract,
    LauncherContract,
    OptimizerContract,
    PenaltyContract,
    RendererContract,
    ScorerContract,
    SourceContract,
)
from df3d.testing.fakes import HollowBall, SolidBall, a_mesh, a_prompt, a_render, some_gaussians

__all__ = [
    "CamerasContract",
    "Contract",
    "ExporterContract",
    "FieldContract",
    "GuidanceContract",
    "HollowBall",
    "ImporterContract",
    "LauncherContract",
    "OptimizerContract",
    "PenaltyContract",
    "RendererContract",
    "ScorerContract",
    "SolidBall",
    "SourceContract",
    "a_mesh",
    "a_prompt",
    "a_render",
    "some_gaussians",
]
