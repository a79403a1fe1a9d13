"""Pictures of a field for people: contact sheets and turntables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from df3d.cameras import orbit
from df3d.checkpoint import replace_atomically
from df3d.interfaces import Field, Renderer

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
    views = orbit(FRAMES, size=size).to(device)
    images = torch.cat([renderer.render(field, views[i : i + 1]).rgb for i in range(FRAMES)])
    pages = [Image.fromarray(image) for image in to_bytes(images)]
    animation, contact = folder / "turntable.webp", folder / "sheet.png"
    replace_atomically(
        animation,
        lambda path: pages[0].save(path, "WEBP", save_all=True, append_images=pages[1:], duration=80, loop=0, quality=85),
    )
    replace_atomically(contact, lambda path: sheet(images[:: FRAMES // 8], columns=4).save(path, "PNG", optimize=True))
    return [animation, contact]
