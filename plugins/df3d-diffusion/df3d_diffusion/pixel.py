"""Denoisers that work on pixels: no VAE, the render itself is noised (DeepFloyd IF stage I, the toybox model)."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from df3d.errors import ModelError
from df3d.types import Cameras
from df3d_diffusion.conditioning import (
    RAY_CHANNELS,
    SKETCH_CHANNELS,
    class_labels,
    ray_map,
    sketch_map,
    split_sketches,
    view_code,
)
from df3d_diffusion.denoiser import compiled
from df3d_diffusion.joint import join_views
from df3d_diffusion.noising import at, to_noise
from df3d_diffusion.text import Encoder


class PixelDenoiser:
    """A pixel-space pipeline folder.

    `layout`, the table `df3d` of its model_index.json, may say `unshuffle` (pixels along an axis that are one position
    of the UNet), `rays` (the UNet takes `conditioning.ray_map` beside the image, and the text with `conditioning.view_code` in
    its class embedding), `sketches` (how many small pictures it takes besides, which stand behind the encodings of the text:
    `conditioning.with_sketches`) and `views` (of one object, side by side in a batch, that are denoised together).
    """

    clip = 1.0

    def __init__(self, *, unet: Any, scheduler: Any, text: Encoder, layout: dict[str, Any]) -> None:
        self.unet = unet.to(memory_format=torch.channels_last)
        self.alphas_cumprod = scheduler.alphas_cumprod.to(unet.device)
        self.knows_cameras = bool(layout.get("rays", False))
        self.sketches = int(layout.get("sketches", 0))
        self.group = int(layout.get("views", 1))
        self._joint = join_views(self.unet, self.group) if self.group > 1 else None
        self._unshuffle = int(layout.get("unshuffle", 1))
        self._size = unet.config.sample_size * self._unshuffle
        self._prediction = scheduler.config.prediction_type
        self.encode_text = text
        channels = 3 * self._unshuffle**2 + RAY_CHANNELS * self.knows_cameras + SKETCH_CHANNELS * self.sketches
        if unet.config.in_channels != channels:
            raise ModelError(
                f"the UNet takes {unet.config.in_channels} channels, not the {channels} of such a pixel-space model",
                "for Stable Diffusion the folder must hold its `vae/` too",
            )

    def encode_images(self, images: Tensor) -> Tensor:
        pixels = images.permute(0, 3, 1, 2)
        if pixels.shape[-1] != self._size:
            pixels = functional.interpolate(pixels, (self._size, self._size), mode="bilinear", align_corners=False, antialias=True)
        return pixels * 2 - 1

    def compile(self) -> None:
        self.unet.forward = compiled(self.unet.forward, self.alphas_cumprod.device)

    def predict(self, noisy: Tensor, timestep: Tensor, text: Tensor, cameras: Cameras | None) -> Tensor:
        text, sketches = split_sketches(text, self.sketches)
        blocks, text = unshuffle(noisy, self._unshuffle), text.to(self.unet.dtype)
        labels, channels = None, blocks.shape[1]
        if self.knows_cameras:
            labels = class_labels(text, view_code(cameras, len(noisy)))
            blocks = torch.cat([blocks, ray_map(cameras, len(noisy), blocks.shape[-1]).to(blocks)], dim=1)
        if self.sketches:
            blocks = torch.cat([blocks, sketch_map(sketches.to(blocks), blocks.shape[-1])], dim=1)
        blocks = blocks.to(self.unet.dtype).contiguous(memory_format=torch.channels_last)
        with self._joint.alone() if self._joint and cameras is None else nullcontext():
            raw = self.unet(blocks, timestep, text, class_labels=labels).sample
        raw = shuffle(raw.float()[:, :channels], self._unshuffle)  # IF predicts a variance too; it is left out
        return to_noise(raw, noisy, at(self.alphas_cumprod, timestep, noisy), self._prediction)


def unshuffle(images: Tensor, block: int) -> Tensor:
    """(B, C, H, W) to (B, C * block**2, H / block, W / block): every block of pixels becomes channels; exact."""
    return functional.pixel_unshuffle(images, block) if block > 1 else images


def shuffle(channels: Tensor, block: int) -> Tensor:
    """The inverse of `unshuffle`."""
    return functional.pixel_shuffle(channels, block) if block > 1 else channels
