"""Options of the hash grid and the ray marcher: their limits, and the memory that they ask for."""

from __future__ import annotations

import pytest
from df3d_hashgrid.config import GridConfig, HashGridConfig, RayMarchConfig, field_memory, renderer_memory

from df3d import Workload


def test_tables_are_counted_with_what_adam_keeps() -> None:
    """Four numbers of four bytes for each of 3 levels, 2^10 rows and 4 features."""
    config = HashGridConfig(levels=3, log2_table=10, features=4)
    assert config.table_bytes() == 4 * 4 * 3 * 1024 * 4
    assert field_memory(config, Workload(8, 512)).bytes == config.table_bytes()


def test_samples_are_counted_for_the_rays_that_are_drawn_at_once() -> None:
    """700 bytes for each; two views of 100 x 100 are 20,000 rays."""
    work = Workload(2, 100)
    assert renderer_memory(RayMarchConfig(samples=10), work).bytes == 700 * 10 * 20_000
    assert renderer_memory(RayMarchConfig(samples=10, tile=5000), work).bytes == 700 * 10 * 5000
    assert renderer_memory(RayMarchConfig(samples=10, tile=50_000), work).bytes == 700 * 10 * 20_000  # there are no more


@pytest.mark.parametrize(
    ("tile", "size", "given_up"),
    [
        (0, 100, [4096, 1024]),
        (0, 129, [16384, 4096, 1024]),
        (0, 128, [4096, 1024]),
        (4096, 512, [1024]),
        (1024, 512, []),
        (0, 32, []),
    ],
)
def test_smaller_tiles_can_be_given_up_to(tile: int, size: int, given_up: list[int]) -> None:
    """The largest first, and none that is no smaller than what is drawn at once."""
    found = renderer_memory(RayMarchConfig(tile=tile), Workload(1, size)).savings
    assert [dict(saving.settings) for saving in found] == [{"tile": tile} for tile in given_up]


def test_equal_ends_are_one_resolution() -> None:
    assert GridConfig(levels=3, base=16, finest=16).resolutions() == [16, 16, 16]
    assert GridConfig(levels=5, base=16, finest=256).resolutions() == [16, 32, 64, 128, 256]


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (HashGridConfig, {"features": 3}, "`features` must be even"),
        (HashGridConfig, {"base": 64, "finest": 32}, "`base` must be at most `finest`"),
        (HashGridConfig, {"blob_radius": 0.0}, "`blob_radius` must be more than 0"),
        (RayMarchConfig, {"occupied": 1.0}, "must be between 0 and 1"),
        (RayMarchConfig, {"occupied": -0.1}, "must be between 0 and 1"),
        (RayMarchConfig, {"opaque": 0.0}, "must be between 0 and 1"),
        (RayMarchConfig, {"opaque": 1.0}, "must be between 0 and 1"),
    ],
)
def test_options_that_make_no_sense_are_refused(kind: type, options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        kind(**options)


def test_nothing_occupied_and_equal_ends_are_allowed() -> None:
    assert RayMarchConfig(occupied=0.0).occupied == 0.0
    assert HashGridConfig(base=32, finest=32).levels == 16
