"""How much memory a stage will need on a GPU, before anything is loaded, and what to give up where that is too much.

Weights are counted exactly, from the headers of the files on disk. What steps need beside them is estimated from
Stable Diffusion 1.5 at 512 x 512 in half precision, and scaled by the size of the latents and the width of the network:
0.25 GB for an image in the UNet without gradients, 2 GB for one in VSD's student with them, 1.25 GB for one in the VAE's
encoder, 0.45 GB when that keeps block boundaries alone, 0.4 GB in TAESD's; twice that in single precision; 0.7 KB for a
sample on a ray, 1 KB for a cell of a tetrahedral grid, 2 KB for a pixel of a surface, and half a GB for CUDA itself.

Held against one H200: Stable Diffusion 1.5, `dreamfusion`, one view: 3.8 GB of tensors, and half a GB for CUDA, where 5.1
are estimated; `magic3d` with a VAE in single precision: 8.8 GB on the card, what the allocator keeps included, where 8.3 are.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from df3d.errors import ModelError
from df3d.schedule import Schedule
from df3d_diffusion.config import SdsConfig
from df3d_diffusion.models import ALIASES, is_single_file, on_disk, resolve

GB = 1e9
CONTEXT, SAMPLE, CELL, PIXEL = 0.5 * GB, 700.0, 1000.0, 2000.0
UNET, ENCODER, ENCODER_SAVING, TAESD = 0.25 * GB, 1.25 * GB, 0.45 * GB, 0.4 * GB
STUDENT = 2.0 * GB  # an image in the UNet with gradients, for VSD
TILES = (16384, 4096, 1024)


@dataclass(frozen=True)
class Need:
    """Bytes, by what they are for."""

    weights: float
    model: float  # activations of the UNet and the VAE
    field: float  # tables, optimiser, samples
    context: float = CONTEXT

    @property
    def total(self) -> float:
        # the UNet works while the VAE's activations wait for their gradient; the field's wait for both
        return self.weights + self.model + self.field + self.context


def plan(config: SdsConfig, stage: Mapping[str, Any], budget: float) -> tuple[dict[str, Any], list[str]]:
    """Settings that make a stage fit into `budget` bytes, by their path, and in words what was given up for it.

    `stage` is the stage's table, every default written out. Raises ModelError when nothing makes it fit.
    """
    try:
        return _plan(config, stage, budget)
    except (OSError, ValueError, KeyError, AssertionError, struct.error) as error:
        raise ModelError(
            f"`{config.model}` cannot be read as a model: {error or type(error).__name__}",
            "`df3d models` lists models by name, `df3d models pull NAME` fetches one again",
        ) from error


def _plan(config: SdsConfig, stage: Mapping[str, Any], budget: float) -> tuple[dict[str, Any], list[str]]:
    chosen: dict[str, Any] = {}
    given_up: list[str] = []
    for path, value, words in (None, None, ""), *_rungs(config, stage):
        if path is not None:
            chosen[path] = value
            given_up = [*(known for known in given_up if known.split(":")[0] != words.split(":")[0]), words]
        need = estimate(config, stage, chosen)
        if need.total <= budget:
            return chosen, given_up
    raise ModelError(
        f"stage `{stage['name']}` needs about {need.total / GB:.1f} GB at the least, and {budget / GB:.1f} GB are there",
        f"take a smaller model (its weights alone are {need.weights / GB:.1f} GB: --set guidance.model=sd15), "
        "or fewer views: --set cameras.views=1",
    )


def _rungs(config: SdsConfig, stage: Mapping[str, Any]) -> Iterator[tuple[str, Any, str]]:
    """What can be given up, the cheapest first."""
    rays, tile = _rays(stage), stage["renderer"].get("tile")
    for size in TILES if tile is not None else ():
        if size < (tile or rays) and size < rays:
            yield "renderer.tile", size, f"rays: drawn {size} at a time, and again for their gradient"
    if not config.checkpoint_vae and config.vae != "taesd":
        yield "guidance.checkpoint_vae", True, "VAE: its encoder keeps less and computes it again"
    views = int(stage["cameras"]["views"])
    if config.at_once != 1 and views > 1:
        yield "guidance.at_once", 1, "images: one at a time through the model"
    elif config.at_once != 1:
        yield "guidance.at_once", 1, "texts: one after the other through the model, not in one batch"
    if not config.vae and config.model in ("sd15", "sd21", "turbo") and on_disk(ALIASES["taesd"].hubs[0]):
        yield "guidance.vae", "taesd", "VAE: the small one"


def estimate(config: SdsConfig, stage: Mapping[str, Any], changed: Mapping[str, Any] = {}) -> Need:
    """What a stage needs with some of its settings changed."""
    single = is_single_file(config.model)
    folder = resolve(config.family if single else config.model)
    vae_name = str(changed.get("guidance.vae", config.vae))
    at_once = int(changed.get("guidance.at_once", config.at_once))
    saving = bool(changed.get("guidance.checkpoint_vae", config.checkpoint_vae))
    vae = resolve(vae_name) if vae_name else folder / "vae"
    unet_config = _json(folder / "unet" / "config.json")
    size = float(unet_config.get("sample_size", 64))
    views = int(stage["cameras"]["views"])
    width = unet_config.get("block_out_channels", [320])[0] / 320
    area = (size / 64) ** 2

    whole = 2.0 if config.dtype == "float32" else 1.0
    rows = (4 if config.view_texts.startswith("perp-neg") else 2) * views
    weights = 2.0 * whole * parameters(folder / "unet")
    model = UNET * whole * area * width * min(at_once or rows, rows)
    if config.objective == "vsd":
        model += STUDENT * whole * area * width * views
    if vae.is_dir():
        vae_config = _json(vae / "config.json")
        tiny = vae_config.get("_class_name") == "AutoencoderTiny"
        base = vae_config.get("block_out_channels", vae_config.get("encoder_block_out_channels", [128]))[0] / (64 if tiny else 128)
        full = 2.0 if vae_config.get("force_upcast") else whole  # SDXL's is kept in float32
        weights += 2.0 * full * 0.5 * parameters(vae)  # the encoder is about half of it
        model += (TAESD if tiny else ENCODER_SAVING if saving else ENCODER) * full * area * base * (1 if at_once else views)
    return Need(weights, model, _field(stage, int(changed.get("renderer.tile", stage["renderer"].get("tile", 0)))))


def _field(stage: Mapping[str, Any], tile: int) -> float:
    """Tables with gradient and both moments of Adam; then the samples of the rays that are drawn at once, or the grid of a
    surface and its pixels."""
    field, renderer = stage["field"], stage["renderer"]
    rows = int(field.get("levels", 16)) * 2 ** int(field.get("log2_table", 19))
    tables = 16.0 * rows * int(field.get("features", 2))
    if "samples" in renderer:
        return tables + SAMPLE * min(tile or _rays(stage), _rays(stage)) * int(renderer["samples"])
    pixels = _rays(stage) * int(renderer.get("supersample", 1)) ** 2
    return tables + CELL * int(field.get("resolution", 0)) ** 3 + PIXEL * pixels


def _rays(stage: Mapping[str, Any]) -> int:
    """Of a step, where its renders are largest."""
    size = stage["cameras"]["size"]
    largest = max(Schedule(**size).ends) if isinstance(size, Mapping) else size
    return int(stage["cameras"]["views"]) * int(largest) ** 2


def parameters(folder: Path) -> int:
    """How many numbers the safetensors files of a network hold; halves and wholes of the same ones are counted once."""
    files = sorted(folder.glob("*.safetensors"))
    halved = [file for file in files if ".fp16" in file.name]
    total = 0
    for file in halved or [file for file in files if ".non_ema" not in file.name]:
        with file.open("rb") as stream:
            (length,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(length))
        total += sum(math.prod(entry["shape"]) for name, entry in header.items() if name != "__metadata__")
    return total


def _json(path: Path) -> dict[str, Any]:
    found = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found
