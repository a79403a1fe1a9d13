"""Options of surfaces: their limits, and the memory that they ask for."""

from __future__ import annotations

import pytest
from df3d_nvdiffrast.config import RasterConfig, TetsConfig, TextureConfig, raster_memory, tets_memory, texture_memory

from df3d import Workload


def test_memory_by_hand() -> None:
    """1000 bytes a cell beside the tables of the colours, 2000 a sample, 48 a texel."""
    work = Workload(2, 100)
    assert tets_memory(TetsConfig(resolution=10, levels=1, log2_table=4, features=2), work).bytes == 1000 * 10**3 + 16 * 16 * 2
    assert texture_memory(TextureConfig(size=16), work).bytes == 48 * 16 * 16
    assert raster_memory(RasterConfig(supersample=3), work).bytes == 2000 * 20_000 * 9


@pytest.mark.parametrize("radius", [0.0, 1.0, -0.5])
def test_a_ball_that_is_no_ball_is_refused(radius: float) -> None:
    with pytest.raises(ValueError, match="`radius` must be between 0 and 1"):
        TetsConfig(radius=radius)
