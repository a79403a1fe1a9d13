"""Films whose frames last as long as browsers take them to."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from df3d.errors import ExportError
from df3d.run import pictures
from df3d.run.pictures import SECONDS, film
from df3d.types import Cameras, RenderOutput


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


def numbered(count: int, size: int = 4) -> torch.Tensor:
    """Images each of its own grey: number / 20."""
    return (torch.arange(count) / 20.0)[:, None, None, None].expand(count, size, size + 2, 3)


def test_a_sheet_is_read_in_rows_and_what_is_left_is_white() -> None:
    picture = np.asarray(pictures.sheet(numbered(5), columns=2))
    assert picture.shape == (12, 12, 3)
    seen = picture[2::4, 3::6, 0]
    assert seen.tolist() == [[0, 13], [26, 38], [51, 255]]  # 12.75 is rounded to 13, 25.5 to even, 38.25 down


def test_colours_beyond_the_range_are_its_ends() -> None:
    assert pictures.to_bytes(torch.tensor([-0.5, 0.0, 0.499, 1.0, 7.0])).tolist() == [0, 0, 127, 255, 255]


class Turning:
    """Draws every camera as a grey that says its azimuth, and writes down how it was asked."""

    def __init__(self) -> None:
        self.seen: list[Cameras] = []

    def render(self, field: Any, cameras: Cameras, request: Any) -> RenderOutput:
        self.seen.append(cameras)
        assert request.step is None
        grey = (cameras.azimuth[0] % 360 / 360).expand(1, cameras.height, cameras.width, 3)
        return RenderOutput(grey, grey[..., :1])


def test_a_turntable_goes_once_around_and_its_sheet_shows_eight_sides(tmp_path: Path) -> None:
    renderer: Any = Turning()
    found = pictures.turntable(None, renderer, tmp_path, device="cpu", size=16)  # type: ignore[arg-type]
    assert found == [tmp_path / "turntable.webp", tmp_path / "sheet.png"]
    assert [len(cameras) for cameras in renderer.seen] == [1] * 24
    assert {cameras.height for cameras in renderer.seen} == {16}
    with Image.open(tmp_path / "turntable.webp") as film_:
        assert film_.n_frames == 24
        assert film_.info["loop"] == 0  # without end
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape == (32, 64, 3)
    assert sheet[8::16, 8::16, 0].tolist() == [[0, 32, 64, 96], [128, 159, 191, 223]]  # every 45 degrees of 360


@pytest.mark.parametrize("name", ["a.PNG", "a.GIF", "a.WebP"])
def test_endings_are_known_in_any_case(tmp_path: Path, name: str) -> None:
    pictures.save(numbered(3), tmp_path / name)
    with Image.open(tmp_path / name) as picture:
        assert picture.size == ((18, 4) if name == "a.PNG" else (6, 4))  # no wider than there are pictures


def test_an_ending_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="is neither a sheet") as error:
        pictures.save(numbered(3), tmp_path / "a.jpg")
    assert "--out" in error.value.hint
    assert SECONDS == 2.0


def test_a_film_of_odd_sides_is_cut_to_even_ones_and_lasts_two_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, Any]] = []
    import imageio_ffmpeg

    class Writer:
        def send(self, frame: np.ndarray | None) -> None:
            asked.append({"shape": None if frame is None else frame.shape})

        def close(self) -> None: ...

    def write_frames(path: str, size: tuple[int, int], *, fps: float, **options: object) -> Writer:
        Path(path).touch()
        asked.append({"size": size, "fps": fps})
        return Writer()

    monkeypatch.setattr(imageio_ffmpeg, "write_frames", write_frames)
    pictures.save(numbered(6, size=5), tmp_path / "a.mp4")
    assert asked[0] == {"size": (6, 4), "fps": 3.0}
    assert asked[2:] == [{"shape": (4, 6, 3)}] * 6
