"""Films whose frames last as long as browsers take them to."""

from __future__ import annotations

import io

import pytest
import torch
from PIL import Image

from df3d.run.pictures import SECONDS, film


@pytest.mark.parametrize("format", ["webp", "gif"])
@pytest.mark.parametrize("frames", [3, 7, 24, 90, 120])
def test_a_film_lasts_as_long_as_it_says(format: str, frames: int) -> None:
    durations = []
    with Image.open(io.BytesIO(film(torch.rand(frames, 8, 8, 3), format))) as picture:
        for index in range(picture.n_frames):
            picture.seek(index)
            picture.load()
            durations.append(picture.info["duration"])
    assert len(durations) == frames
    assert min(durations) >= 20  # browsers show what is shorter than two hundredths of a second for a tenth
    assert sum(durations) == max(1000 * SECONDS, 20 * frames)
