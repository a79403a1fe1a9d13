"""How much memory a diffusion model will need on a GPU, before anything is loaded, and what it can give up.

Weights are counted exactly, from the headers of the files on disk. What steps need beside them is estimated from
Stable Diffusion 1.5 at 512 x 512 in half precision, and scaled by the size of the latents and the width of the network:
0.25 GB for an image in the UNet without gradients, 2 GB for one in VSD's student with them, 1.25 GB for one in the VAE's
encoder, 0.45 GB when that keeps block boundaries alone, 0.4 GB in TAESD's; twice that in single precision.

Held against one H200, with what the other parts say of themselves: Stable Diffusion 1.5, `dreamfusion`, one view: 3.8 GB of
tensors, and half a GB for CUDA, where 5.1 are estimated; `magic3d` with a VAE in single precision: 8.8 GB on the card, what
the allocator keeps included, where 8.3 are.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from df3d import Memory, Saving, Workload
from df3d.errors import ModelError
from df3d_diffusion.config import SdsConfig
from df3d_diffusion.folder import config as config_of
from df3d_diffusion.folder import is_transformer, parameters, pixels_per_latent
from df3d_diffusion.models import ALIASES, is_single_file, on_disk, resolve

GB = 1e9
UNET, ENCODER, ENCODER_SAVING, TAESD = 0.25 * GB, 1.25 * GB, 0.45 * GB, 0.4 * GB
TOKEN = 48.0  # a token and channel of a transformer: some two dozen numbers of one layer
STUDENT = 2.0 * GB  # an image in the UNet with gradients, for VSD


def memory(config: SdsConfig, work: Workload) -> Memory:
    """What the model takes in steps of this size.

    Raises ModelError when its folder cannot be read.
    """
    try:
        weights, activations = estimate(config, work)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelError(
            f"`{config.model}` cannot be read as a model: {error or type(error).__name__}",
            "`df3d models` lists models by name, `df3d models pull NAME` fetches one again",
        ) from error
    hint = f"take a smaller model (its weights alone are {weights / GB:.1f} GB: --set guidance.model=sd15)"
    return Memory(weights + activations, tuple(_savings(config, work)), hint)


def _savings(config: SdsConfig, work: Workload) -> Iterator[Saving]:
    """What can be given up, the cheapest first."""
    if not config.checkpoint_vae and config.vae != "taesd":
        yield Saving({"checkpoint_vae": True}, "VAE: its encoder keeps less and computes it again")
    if config.at_once != 1 and work.views > 1:
        yield Saving({"at_once": 1}, "images: one at a time through the model")
    elif config.at_once != 1:
        yield Saving({"at_once": 1}, "texts: one after the other through the model, not in one batch")
    if not config.vae and config.model in ("sd15", "sd21", "turbo") and on_disk(ALIASES["taesd"].hubs[0]):
        yield Saving({"vae": "taesd"}, "VAE: the small one")


def estimate(config: SdsConfig, work: Workload) -> tuple[float, float]:
    """Bytes of the weights, and of the activations of network and VAE."""
    folder = resolve(config.family if is_single_file(config.model) else config.model)
    vae = resolve(config.vae) if config.vae else folder / "vae"
    factor = pixels_per_latent(config_of(vae)) if vae.is_dir() else 1
    whole = 2.0 if config.dtype == "float32" else 1.0
    rows = (4 if config.view_texts.startswith("perp-neg") else 2) * work.views
    rows = min(config.at_once or rows, rows)
    if is_transformer(folder):
        table = config_of(folder / "transformer")
        width = table.get("hidden_size") or table.get("num_attention_heads", 24) * table.get("attention_head_dim", 64)
        size = config.size or table.get("sample_size", 512 // factor) * factor
        tokens = (size / factor / table.get("patch_size", 1)) ** 2 + 333  # of the picture, and of the longest text
        area, weights, model = (size / 512) ** 2, parameters(folder / "transformer"), TOKEN * whole * tokens * width * rows
    else:
        table = config_of(folder / "unet")
        width = table.get("block_out_channels", [table.get("model_channels", 320)])[0] / 320
        side = config.size / factor if config.size else float(table.get("sample_size", table.get("image_size", 64)))
        area, weights = (side / 64) ** 2, parameters(folder / "unet")
        model = UNET * whole * area * width * rows
        if config.objective in ("vsd", "esd"):
            model += STUDENT * whole * area * width * work.views
    own, an_image = _vae(config, vae, area, whole) if vae.is_dir() else (0.0, 0.0)
    return 2.0 * whole * weights + own, model + an_image * (1 if config.at_once else work.views)


def _vae(config: SdsConfig, vae: Path, area: float, whole: float) -> tuple[float, float]:
    """Bytes of a VAE's encoder, about half of the VAE, and of its activations for an image."""
    table = config_of(vae)
    tiny = table.get("_class_name") == "AutoencoderTiny"
    base = table.get("block_out_channels", table.get("encoder_block_out_channels", [128]))[0] / (64 if tiny else 128)
    full = 2.0 if table.get("force_upcast") else whole  # SDXL's is kept in float32
    an_image = TAESD if tiny else ENCODER_SAVING if config.checkpoint_vae else ENCODER
    return 2.0 * full * 0.5 * parameters(vae), an_image * full * area * base
