"""What an export is without a word from the recipe, and what it cannot be."""

from __future__ import annotations

import pytest

from df3d.mesh.options import ExportConfig


def test_the_defaults_are_those_that_the_reference_names() -> None:
    assert ExportConfig() == ExportConfig(
        format="", resolution=160, threshold=None, faces=20_000, texture_size=1024, normal_map=False, turntable=256, unlit=False,
        scale=None, origin="field", up="y", keep=0.02,
    )  # fmt: skip


@pytest.mark.parametrize("name", ["threshold", "scale"])
def test_lengths_and_densities_are_more_than_nothing_and_finite(name: str) -> None:
    ExportConfig(**{name: 1e-6})  # type: ignore[arg-type]
    for wrong in (0.0, -1.0, float("inf"), float("nan")):
        with pytest.raises(ValueError, match="must be more than 0, and finite"):
            ExportConfig(**{name: wrong})  # type: ignore[arg-type]
