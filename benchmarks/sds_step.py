"""What a whole SDS step costs on models of the real size, beside the bare network work of the same batch, in one run.

    python benchmarks/sds_step.py [--models sd15 mvdream prx sd35m] [--device cuda] [--steps 20] [--vae taesd] [--compile]

Each model is built at full size with random weights from its configuration: time and memory do not depend on the values. The bare
work is one pass of the network over the guided batch and, forward and backward, the VAE's encoder. MVDream sees four views of 256 x
256, the others --views of 512 x 512. A row is printed as soon as a model is done. With --small all are tiny, to try the script.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import df3d  # noqa: F401 - first, for it settles how the threads of torch wait

# isort: split
import diffusers
import torch
from df3d_diffusion.config import MultiViewConfig, SdsConfig
from df3d_diffusion.latent import LatentDenoiser, without_decoder
from df3d_diffusion.loading import fastest_dtype
from df3d_diffusion.multiview import MultiViewDenoiser
from df3d_diffusion.sds import Distillation
from df3d_diffusion.transformer import TransformerDenoiser
from torch import Tensor

from df3d.plugin.catalog import Catalog
from df3d.prompt import Prompt
from df3d.recipe import recipe
from df3d.recipe.compose import compose
from df3d.recipe.plan import StagePlan
from df3d.recipe.settings import override, parse_setting
from df3d.run.parts import Parts, build_drawing
from df3d.run.stage import advance
from df3d.schedule import Schedule, Step
from df3d.system import machine
from df3d.types import RenderRequest

VAE = {
    "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "sample_size": 512,
    "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
}  # fmt: skip
SMALL_UNET = {"block_out_channels": (32, 32, 32, 32), "layers_per_block": 1, "attention_head_dim": 4}
SMALL_VAE = {"block_out_channels": (8, 8, 8, 8), "layers_per_block": 1, "norm_num_groups": 4}


@dataclass(frozen=True)
class Model:
    """A network by its class and configuration, and the texts it takes."""

    network: str
    table: dict[str, Any]
    small: dict[str, Any]
    text: tuple[int, int]  # rows and columns
    channels: int = 4  # of its VAE
    group: int = 1


SD15 = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}
MVDREAM = {
    "sample_size": 32, "cross_attention_dim": 1024, "attention_head_dim": [5, 10, 20, 20], "use_linear_projection": True,
    "class_embed_type": "projection", "projection_class_embeddings_input_dim": 16,
}  # fmt: skip
SD35M = {
    "sample_size": 128, "num_layers": 24, "num_attention_heads": 24, "caption_projection_dim": 1536, "pos_embed_max_size": 384,
    "dual_attention_layers": tuple(range(13)), "qk_norm": "rms_norm",
}  # fmt: skip
SMALL_PRX = {"depth": 1, "hidden_size": 56, "num_heads": 2, "axes_dim": [14, 14]}
SMALL_SD35M = {"num_layers": 1, "num_attention_heads": 1, "caption_projection_dim": 64, "dual_attention_layers": (0,)}
MODELS = {
    "sd15": Model("UNet2DConditionModel", SD15, SMALL_UNET, (77, 768)),
    "mvdream": Model("UNet2DConditionModel", MVDREAM, SMALL_UNET, (77, 1024), group=4),
    "prx": Model("PRXTransformer2DModel", {"in_channels": 16}, SMALL_PRX, (256, 2305), channels=16),
    "sd35m": Model("SD3Transformer2DModel", SD35M, SMALL_SD35M, (334, 4096), channels=16),
}


def built(model: Model, device: str, dtype: torch.dtype, options: argparse.Namespace) -> Any:
    """The denoiser of a model."""
    small = options.small
    with torch.device(device):
        network: Any = getattr(diffusers, model.network)(**{**model.table, **(model.small if small else {})})
        if options.vae == "taesd":
            vae: Any = diffusers.AutoencoderTiny(latent_channels=model.channels)
        else:
            vae = diffusers.AutoencoderKL(**{**VAE, **(SMALL_VAE if small else {})}, latent_channels=model.channels)
    network, vae = (part.to(dtype).requires_grad_(False).eval() for part in (network, without_decoder(vae)))

    def text(texts: list[str]) -> Tensor:
        return torch.randn(len(texts), *model.text, device=device)

    if model.network != "UNet2DConditionModel":
        denoiser: Any = TransformerDenoiser(unet=network, vae=vae, scheduler={"shift": 3.0}, text=text, size=64 if small else 512)
    else:
        scheduler = diffusers.DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
        kind = MultiViewDenoiser if model.group > 1 else LatentDenoiser
        denoiser = kind(unet=network, vae=vae, scheduler=scheduler, text=text, size=64 if small else 0)
    if options.compile:
        denoiser.compile()
    return denoiser


def milliseconds(work: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="+", choices=MODELS, default=["sd15"])
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--views", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warm", type=int, default=3)
    parser.add_argument("--vae", choices=("full", "taesd"), default="full")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--tile", type=int, default=0)
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    machine.keep_freed_memory()
    how = f"VAE {options.vae}{', compiled' * options.compile}{', small' * options.small}"
    print(f"{options.device}, {how}, median of {options.steps} steps")
    print("| model | views | whole step | network | VAE | field and renderer | step / (network + VAE) | peak memory |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for name in options.models:
        print(measured(name, options), flush=True)


def measured(name: str, options: argparse.Namespace) -> str:
    """The row of a model."""
    device, dtype, model = options.device, fastest_dtype(options.device), MODELS[name]
    torch.manual_seed(0)
    if device != "cpu":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    count = options.views * model.group
    denoiser = built(model, device, dtype, options)
    plan, parts, encoded = prepared(denoiser, count, options)
    views = parts.cameras.sample(Step(0, 100)).to(device)

    def step(index: int) -> None:
        advance(plan, parts, {"sds": encoded}, Step(index, 10_000, plan.name), device)

    def render() -> None:
        parts.renderer.render(parts.field, views, RenderRequest(Step(1, 100))).rgb.mean().backward()

    images = torch.rand(count, 64, 64, 3, device=device)
    latents = denoiser.encode_images(images).detach()

    def network() -> Tensor:
        with torch.no_grad():
            timestep = torch.full((2 * count,), 500, device=device)
            told = views.times(2) if denoiser.knows_cameras else None
            found: Tensor = denoiser.predict(latents.repeat(2, 1, 1, 1), timestep, encoded.negative.expand(2 * count, -1, -1), told)
            return found

    def vae() -> None:
        denoiser.encode_images(images.clone().requires_grad_()).sum().backward()

    parts_of = {"whole step": None, "network": network, "VAE": vae, "field and renderer": render}
    times: dict[str, list[float]] = {name: [] for name in parts_of}
    for index in range(options.warm + options.steps):  # in turn, so that all see the same machine
        for what, work in parts_of.items():
            spent = milliseconds(work or (lambda index=index: step(index)), device)  # type: ignore[misc]
            if index >= options.warm:
                times[what].append(spent)
    medians = {what: statistics.median(values) for what, values in times.items()}
    ratio = medians["whole step"] / (medians["network"] + medians["VAE"])
    peak = machine.peak_memory_mib() if device == "cpu" else torch.cuda.max_memory_allocated() >> 20
    cells = [name, str(count), *(f"{value:.1f} ms" for value in medians.values()), f"{ratio:.2f}", f"{peak} MiB"]
    return f"| {' | '.join(cells)} |"


def prepared(denoiser: Any, views: int, options: argparse.Namespace) -> tuple[StagePlan, Parts, Any]:
    """The recipe `dreamfusion` around the denoiser."""
    catalog = Catalog.discover()
    settings = [f"cameras.views={views}", f"renderer.tile={options.tile}"]
    chosen = override(recipe.find("dreamfusion", catalog), map(parse_setting, settings), catalog)
    plan = compose(chosen, catalog).stages[0]
    field, renderer = build_drawing(plan, device=options.device, start_from=None, seed=0)
    guidance = Distillation((MultiViewConfig if denoiser.group > 1 else SdsConfig)(scale=100.0), denoiser)
    groups = [{**group, "base_lr": group["lr"]} for part in (field, renderer) for group in part.parameter_groups()]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99), eps=1e-15, fused=True)
    cameras = plan.cameras.plugin.build(plan.cameras.config, group=denoiser.group)
    penalties = {plugin.name: (plugin.build(), weight, plugin.needs) for plugin, weight in plan.penalties}
    parts = Parts(field, renderer, {"sds": (guidance, Schedule(1.0))}, cameras, penalties, optimizer)
    return plan, parts, guidance.encode(Prompt("a red car"))


if __name__ == "__main__":
    main()
