"""Pictures of strangers: by their first bytes, of a size that is known, and upright."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from df3d.errors import PromptError
from df3d.prompt import Picture
from df3d.system import images
from df3d.system.images import kind_of, open_picture, pixels


def encoded(format: str, size: tuple[int, int] = (4, 2)) -> bytes:
    data = io.BytesIO()
    Image.new("RGB", size, (255, 51, 0)).save(data, format)
    return data.getvalue()


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_a_format_is_told_by_its_first_bytes_whatever_the_name(format: str) -> None:
    data = encoded(format)
    assert kind_of(data, "a.tga") == format
    assert open_picture(data, "a.txt").size == (4, 2)


def test_formats_that_are_almost_read_are_not() -> None:
    assert kind_of(b"GIF87a...") == "GIF"
    assert kind_of(b"GIF88a...") == ""
    assert kind_of(b"RIFF\0\0\0\0WAVE") == ""
    assert kind_of(b"\x89PNG\n") == ""
    assert kind_of(encoded("TGA"), "a.TGA") == "TGA"
    assert kind_of(encoded("TGA"), "a.png") == ""
    assert kind_of(b"%!PS-Adobe", "a.tga") == ""


@pytest.mark.parametrize(("data", "name"), [(b"II*\0", "TIFF"), (b"%PDF-1", "PDF"), (b"8BPS", "PSD"), (b"%!PS", "PostScript")])
def test_a_format_that_is_not_read_is_named(data: bytes, name: str) -> None:
    with pytest.raises(ValueError, match=f"no PNG, JPEG, WebP, GIF, BMP or TGA, but {name}"):
        open_picture(data)
    with pytest.raises(ValueError, match="or TGA$"):
        open_picture(b"nothing")


def test_a_picture_may_have_as_many_pixels_as_is_said_and_no_more() -> None:
    assert images.LARGEST == 100_000_000
    assert open_picture(encoded("PNG"), largest=8).size == (4, 2)
    with pytest.raises(ValueError, match="it has 4 x 2 pixels; at most 7 are read"):
        open_picture(encoded("PNG"), largest=7)
    with pytest.raises(ValueError, match="it is damaged"):
        open_picture(encoded("PNG")[:20])


def test_pixels_are_srgb_with_opacity_and_upright(tmp_path: Path) -> None:
    picture = Image.new("RGBA", (3, 2), (255, 51, 0, 102))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    picture.save(tmp_path / "a.png", exif=exif)
    found = pixels(Picture(tmp_path / "a.png"))
    assert (found.shape, found.dtype) == ((3, 2, 4), np.float32)
    np.testing.assert_allclose(found[0, 0], [1.0, 0.2, 0.0, 0.4], atol=1e-6)
    (tmp_path / "solid.jpg").write_bytes(encoded("JPEG"))
    assert pixels(Picture(tmp_path / "solid.jpg"))[..., 3].min() == 1.0


def test_a_picture_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    whole = encoded("PNG", (64, 64))
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    for name, reason in (("a.png", "."), ("gone.png", "No such file")):
        with pytest.raises(PromptError, match=rf"picture `.*{name}` cannot be read: .*{reason}") as error:
            pixels(Picture(tmp_path / name))
        assert "PNG" in error.value.hint
