"""Pictures of a field for people: contact sheets and turntables."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from df3d.errors import ExportError
from df3d.protocols import Field, Renderer
from df3d.scene.cameras import orbit
from df3d.system.files import replace_atomically
from df3d.types import Cameras, RenderRequest

SECONDS = 2.0  # once around
FRAMES = 24  # of a turntable; every third is on the sheet


def sheet(images: Tensor, *, columns: int) -> Image.Image:
    """Images (V, H, W, 3) in rows of `columns`."""
    views, height, width, _ = images.shape
    rows = -(-views // columns)
    canvas = np.full((rows * height, columns * width, 3), 255, np.uint8)
    for i, image in enumerate(to_bytes(images)):
        y, x = i // columns * height, i % columns * width
        canvas[y : y + height, x : x + width] = image
    return Image.fromarray(canvas)


def to_bytes(images: Tensor) -> np.ndarray:
    """uint8 of the same shape from float images in [0, 1]."""
    return (images.detach().clamp(0, 1) * 255).round().to(torch.uint8).cpu().numpy()


@torch.no_grad()
def turntable(field: Field, renderer: Renderer, folder: Path, *, device: str, size: int) -> list[Path]:
    """Write `turntable.webp` (animated) and `sheet.png` (8 views from azimuth 0 in steps of 45 degrees)."""
    images = around(field, renderer, orbit(FRAMES, size=size), device=device)
    animation, contact = folder / "turntable.webp", folder / "sheet.png"
    save(images, animation)
    save(images[:: FRAMES // 8], contact)
    return [animation, contact]


@torch.no_grad()
def around(field: Field, renderer: Renderer, views: Cameras, *, device: str) -> Tensor:
    """Images (V, H, W, 3) from many cameras, drawn one by one."""
    return torch.cat([renderer.render(field, views[i : i + 1].to(device), RenderRequest()).rgb.cpu() for i in range(len(views))])


def save(images: Tensor, path: Path) -> None:
    """Images (V, H, W, 3) as what the file name says: a sheet (.png), or a film (.webp, .gif, .mp4) of SECONDS.

    Raises ExportError for any other name.
    """
    kind = path.suffix.lower()
    if kind == ".png":
        replace_atomically(path, lambda at: sheet(images, columns=min(4, len(images))).save(at, "PNG", optimize=True))
    elif kind in (".webp", ".gif"):
        replace_atomically(path, lambda at: at.write_bytes(film(images, kind[1:])))
    elif kind == ".mp4":
        replace_atomically(path, lambda at: _mp4(to_bytes(images), at, fps=len(images) / SECONDS))
    else:
        raise ExportError(f"`{path}` is neither a sheet (.png) nor a film (.webp, .gif, .mp4)", "give --out one of these endings")


def film(images: Tensor, format: str) -> bytes:
    """Images (V, H, W, 3) as an endless "webp" or "gif" of SECONDS, or longer where there are more than 50 a second."""
    data, pages = io.BytesIO(), [Image.fromarray(image) for image in to_bytes(images)]
    durations = _durations(len(pages), unit=10 if format == "gif" else 1)
    pages[0].save(data, format.upper(), quality=85, save_all=True, append_images=pages[1:], duration=durations, loop=0)
    return data.getvalue()


def _durations(frames: int, *, unit: int) -> list[int]:
    """Milliseconds of each frame, in whole units: GIF counts hundredths of a second, and browsers slow down what is below two."""
    each = max(1000 * SECONDS / frames, 20.0)
    ends = [round(each * number / unit) * unit for number in range(frames + 1)]
    return [end - start for start, end in pairwise(ends)]


def _mp4(frames: np.ndarray, path: Path, *, fps: float) -> None:
    import imageio_ffmpeg

    height, width = (size - size % 2 for size in frames.shape[1:3])  # yuv420p wants even sides
    writer = imageio_ffmpeg.write_frames(str(path), (width, height), fps=fps, macro_block_size=2, output_params=["-f", "mp4"])
    writer.send(None)
    for frame in frames:
        writer.send(np.ascontiguousarray(frame[:height, :width]))
    writer.close()
