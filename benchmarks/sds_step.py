"""What a whole SDS step with Stable Diffusion costs, beside the bare network work of the same batch, in one run.

    python benchmarks/sds_step.py [--device cuda] [--views 1] [--steps 20] [--vae taesd] [--compile] [--tile 4096]

Stable Diffusion 1.5 is built at full size with random weights from its configuration: time and memory do not depend on
the values. The bare work is one UNet pass over the guided batch and, forward and backward, the VAE's encoder.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import df3d  # noqa: F401 - first, for it settles how the threads of torch wait

# isort: split
import diffusers
import torch
from df3d_diffusion.config import SdsConfig
from df3d_diffusion.latent import LatentDenoiser, without_decoder
from df3d_diffusion.loading import fastest_dtype
from df3d_diffusion.sds import Distillation
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

UNET = {"sample_size": 64, "cross_attention_dim": 768, "attention_head_dim": 8}  # the rest is diffusers' default
VAE = {
    "block_out_channels": (128, 256, 512, 512), "layers_per_block": 2, "latent_channels": 4, "sample_size": 512,
    "down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4,
}  # fmt: skip


def stable_diffusion(device: str, dtype: torch.dtype, *, tiny_vae: bool, compiled: bool) -> LatentDenoiser:
    with torch.device(device):
        unet: Any = diffusers.UNet2DConditionModel(**UNET)
        vae: Any = diffusers.AutoencoderTiny() if tiny_vae else diffusers.AutoencoderKL(**VAE)
    unet, vae = (network.to(dtype).requires_grad_(False).eval() for network in (unet, without_decoder(vae)))
    scheduler = diffusers.DDPMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)
    denoiser = LatentDenoiser(
        unet=unet, vae=vae, scheduler=scheduler, text=lambda texts: torch.randn(len(texts), 77, 768, device=device)
    )
    if compiled:
        denoiser.unet.forward = torch.compile(denoiser.unet.forward, mode="reduce-overhead")
    return denoiser


def milliseconds(work: Callable[[], object], device: str) -> float:
    start = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--views", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--warm", type=int, default=3)
    parser.add_argument("--vae", choices=("full", "taesd"), default="full")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--tile", type=int, default=0)
    options = parser.parse_args()
    device, dtype = options.device, fastest_dtype(options.device)
    machine.keep_freed_memory()
    torch.manual_seed(0)
    denoiser = stable_diffusion(device, dtype, tiny_vae=options.vae == "taesd", compiled=options.compile)
    plan, parts, encoded = prepared(denoiser, options)
    views = parts.cameras.sample(Step(0, 100)).to(device)

    def step(index: int) -> None:
        advance(plan, parts, {"sds": encoded}, Step(index, 10_000, plan.name), device)

    def render() -> None:
        parts.renderer.render(parts.field, views, RenderRequest(Step(1, 100))).rgb.mean().backward()

    latents, images = torch.randn(options.views, 4, 64, 64, device=device), torch.rand(options.views, 64, 64, 3, device=device)

    def unet() -> Tensor:
        with torch.no_grad():
            timestep = torch.full((2 * options.views,), 500, device=device)
            return denoiser.predict(latents.repeat(2, 1, 1, 1), timestep, encoded.negative.expand(2 * options.views, -1, -1), None)

    def vae() -> None:
        denoiser.encode_images(images.clone().requires_grad_()).sum().backward()

    parts_of = {"whole step": None, "UNet": unet, "VAE": vae, "field and renderer": render}
    times: dict[str, list[float]] = {name: [] for name in parts_of}
    for index in range(options.warm + options.steps):  # in turn, so that all see the same machine
        for name, work in parts_of.items():
            spent = milliseconds(work or (lambda index=index: step(index)), device)  # type: ignore[misc]
            if index >= options.warm:
                times[name].append(spent)
    medians = {name: statistics.median(values) for name, values in times.items()}
    print(f"{device}, {str(dtype)[6:]}, {options.views} view(s), VAE {options.vae}, median of {options.steps} steps")
    print(", ".join(f"{name} {value:.0f} ms" for name, value in medians.items()))
    print(f"step / (UNet + VAE): {medians['whole step'] / (medians['UNet'] + medians['VAE']):.2f}")
    peak = machine.peak_memory_mib() if device == "cpu" else torch.cuda.max_memory_allocated() >> 20
    print(f"peak memory {peak} MiB")


def prepared(denoiser: LatentDenoiser, options: argparse.Namespace) -> tuple[StagePlan, Parts, Any]:
    """The recipe `dreamfusion` around the denoiser."""
    catalog = Catalog.discover()
    settings = [f"cameras.views={options.views}", f"renderer.tile={options.tile}"]
    chosen = override(recipe.find("dreamfusion", catalog), map(parse_setting, settings), catalog)
    plan = compose(chosen, catalog).stages[0]
    field, renderer = build_drawing(plan, device=options.device, start_from=None, seed=0)
    guidance = Distillation(SdsConfig(scale=100.0), denoiser)
    groups = [{**group, "base_lr": group["lr"]} for part in (field, renderer) for group in part.parameter_groups()]
    optimizer = torch.optim.Adam(groups, betas=(0.9, 0.99), eps=1e-15, fused=True)
    cameras = plan.cameras.plugin.build(plan.cameras.config, group=1)
    penalties = {plugin.name: (plugin.build(), weight, plugin.needs) for plugin, weight in plan.penalties}
    parts = Parts(field, renderer, {"sds": (guidance, Schedule(1.0))}, cameras, penalties, optimizer)
    return plan, parts, guidance.encode(Prompt("a red car"))


if __name__ == "__main__":
    main()
