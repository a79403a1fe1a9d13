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
from df3d_diffusion.folder import is_transformer, parameters
from df3d_diffusion.models import ALIASES, is_single_file, on_disk, resolve

GB = 1e9
UNET, ENCODER, ENCODER_SAVING, TAESD = 0.25 * GB, 1.25 * GB, 0.45 * GB, 0.4 * GB
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
    """Bytes of the weights, and of the activations of UNet and VAE."""
    folder = resolve(config.family if is_single_file(config.model) else config.model)
    vae = resolve(config.vae) if config.vae else folder / "vae"
    if is_transformer(folder):
        return _of_transformer(config, work, folder, vae)
    unet_config = config_of(folder / "unet")
    width = unet_config.get("block_out_channels", [unet_config.get("model_channels", 320)])[0] / 320
    area = (float(unet_config.get("sample_size", unet_config.get("image_size", 64))) / 64) ** 2

    whole = 2.0 if config.dtype == "float32" else 1.0
    rows = (4 if config.view_texts.startswith("perp-neg") else 2) * work.views
    weights = 2.0 * whole * parameters(folder / "unet")
    model = UNET * whole * area * width * min(config.at_once or rows, rows)
    if config.objective in ("vsd", "esd"):
        model += STUDENT * whole * area * width * work.views
    if vae.is_dir():
        vae_config = config_of(vae)
        tiny = vae_config.get("_class_name") == "AutoencoderTiny"
        base = vae_config.get("block_out_channels", vae_config.get("encoder_block_out_channels", [128]))[0] / (64 if tiny else 128)
        full = 2.0 if vae_config.get("force_upcast") else whole  # SDXL's is kept in float32
        weights += 2.0 * full * 0.5 * parameters(vae)  # the encoder is about half of it
        an_image = TAESD if tiny else ENCODER_SAVING if config.checkpoint_vae else ENCODER
        model += an_image * full * area * base * (1 if config.at_once else work.views)
    return weights, model


def _of_transformer(config: SdsConfig, work: Workload, folder: Path, vae: Path) -> tuple[float, float]:
    """A transformer keeps some two dozen numbers for each token and channel of one layer; its VAE works as Stable Diffusion's."""
    table, vae_config = config_of(folder / "transformer"), config_of(vae)
    width = table.get("hidden_size") or table.get("num_attention_heads", 24) * table.get("attention_head_dim", 64)
    factor = 2 ** (len(vae_config.get("block_out_channels", vae_config.get("encoder_block_out_channels", [0] * 4))) - 1)
    size = config.size or table.get("sample_size", 512 // factor) * factor
    tokens = (size / factor / table.get("patch_size", 1)) ** 2 + 333
    whole = 2.0 if config.dtype == "float32" else 1.0
    rows = (4 if config.view_texts.startswith("perp-neg") else 2) * work.views
    weights = 2.0 * whole * (parameters(folder / "transformer") + 0.5 * parameters(vae))
    model = 24 * 2.0 * whole * tokens * width * min(config.at_once or rows, rows)
    tiny = vae_config.get("_class_name") == "AutoencoderTiny"
    an_image = (TAESD if tiny else ENCODER) * whole * (size / 512) ** 2
    return weights, model + an_image * (1 if config.at_once else work.views)
