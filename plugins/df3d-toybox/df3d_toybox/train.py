"""Training the embedded model from nothing, on pictures of the world drawn as they are needed.

Resumable: the same folder goes on where it stopped, and every random draw depends on the seed and the step alone.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from df3d_diffusion.conditioning import class_labels, ray_map, view_code
from df3d_diffusion.loading import fastest_dtype
from df3d_diffusion.noising import at, noised, velocity
from df3d_diffusion.pixel import unshuffle
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from df3d.scene import cameras
from df3d.scene.options import ViewConfig
from df3d.system import machine
from df3d.system.tensors import optimizer_tensors, read_tensors, restore_optimizer, write_tensors
from df3d.types import Cameras
from df3d_toybox.captions import BLANK, SLOTS
from df3d_toybox.config import TrainConfig
from df3d_toybox.model import SIZE, UNSHUFFLE, ToyboxModel, create, read
from df3d_toybox.muon import Muon
from df3d_toybox.winograd import use_winograd
from df3d_toybox.world import render, scene

ELEVATION = (-15.0, 75.0)


@dataclass(frozen=True)
class Batch:
    images: Tensor  # (B, 3, SIZE, SIZE) in [-1, 1]
    captions: list[str]  # canonical
    rays: Tensor  # (B, RAY_CHANNELS, SIZE / UNSHUFFLE, SIZE / UNSHUFFLE)
    views: Tensor  # (B, VIEW_CODES)


@dataclass(frozen=True)
class Progress:
    step: int  # steps done
    steps: int
    loss: float  # mean over the steps since the last report
    images_per_second: float


def draw_batch(config: TrainConfig, step: int) -> Batch:
    """The training pictures of a step: random captions, proportions and cameras."""
    rng = np.random.default_rng((config.seed, step))
    captions = [scene.sample_caption(rng) for _ in range(config.batch)]
    scenes = [render.pack(scene.build(caption, rng)) for caption in captions]
    azimuth = torch.from_numpy(rng.uniform(-180, 180, config.batch)).float()
    elevation = torch.from_numpy(rng.uniform(*ELEVATION, config.batch)).float()
    images = draw(scenes, azimuth, elevation)
    known = views_of(azimuth, elevation)
    blind = torch.from_numpy(rng.random(config.batch) < config.drop_camera)
    words, views = [], ViewConfig()
    for i, caption in enumerate(captions):
        named = rng.random() < (0.75 if blind[i] else 0.3)
        view = views.view(float(azimuth[i]), float(elevation[i])) if named else None
        words.append(EMPTY if rng.random() < config.drop_text else caption.canonical(view))
    rays = [ray_map(seen, config.batch, SIZE // UNSHUFFLE) for seen in (None, known)]
    codes = [view_code(seen, config.batch) for seen in (None, known)]
    return Batch(images, words, torch.where(blind[:, None, None, None], *rays), torch.where(blind[:, None], *codes))


EMPTY = " ".join([BLANK] * SLOTS)


class Batches(Dataset[Batch]):
    """`draw_batch` by step, for the workers of a DataLoader."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config

    def __getitem__(self, step: int) -> Batch:
        return draw_batch(self.config, step)


def batches(config: TrainConfig, first: int, workers: int) -> Iterator[Batch]:
    """Every step's pictures from `first` on, drawn ahead by `workers` processes of one thread each, or as they are asked for."""
    ahead: dict[str, Any] = {"multiprocessing_context": "spawn", "prefetch_factor": 4} if workers else {}
    steps = range(first, config.steps)
    yield from DataLoader(Batches(config), sampler=steps, batch_size=None, num_workers=workers, worker_init_fn=_one_thread, **ahead)


def _one_thread(_worker: int) -> None:
    os.environ["OMP_NUM_THREADS"] = "1"


def draw(scenes: list[render.Scene], azimuth: Tensor, elevation: Tensor) -> Tensor:
    """(V, 3, SIZE, SIZE) in [-1, 1]: scene i as the model is shown it, from angles (V,) in degrees."""
    views = views_of(azimuth, elevation)
    pictures = torch.from_numpy(render.render(scenes, views.pose.numpy(), size=SIZE)[..., :3])
    return pictures.permute(0, 3, 1, 2) * 2 - 1


def views_of(azimuth: Tensor, elevation: Tensor) -> Cameras:
    """The cameras of the model's pictures."""
    full = torch.ones_like(azimuth)
    return cameras.look_at(azimuth, elevation, render.DISTANCE * full, render.FOV_Y * full, height=SIZE, width=SIZE)


def draw_timesteps(count: int, steps: int, generator: torch.Generator) -> Tensor:
    """(count,) timesteps, four in five from the noisier three quarters, where the caption and camera decide the picture."""
    share, pick = torch.rand(2, count, generator=generator, device=generator.device)
    noisy = pick < 0.8
    return (torch.where(noisy, 0.25 + 0.75 * share, 0.25 * share) * steps).long().clamp(max=steps - 1)


def train(
    config: TrainConfig,
    folder: Path,
    *,
    start_from: Path | None = None,
    device: str = "cpu",
    compiled: bool = True,
    workers: int = 0,
    report_every: int = 50,
    save_every: int = 250,
) -> Iterator[Progress]:
    """Train in `folder`, going on from its checkpoint; the averaged weights are left in `folder/model`.

    `workers` processes draw the pictures beside the training; the pictures are the same for any number of them.
    Without a checkpoint the weights are random, or those of the model folder `start_from`.
    """
    machine.keep_freed_memory()
    origin = json.loads((start_from / "card.json").read_text(encoding="utf-8")) if start_from else None
    torch.manual_seed(config.seed)
    model = read(start_from) if start_from else create()
    networks = nn.ModuleDict(model.networks()).to(device)
    model.unet.to(memory_format=torch.channels_last)
    average = {name: parameter.detach().clone() for name, parameter in networks.named_parameters()}
    optimizers = make_optimizers(networks, config.learning_rate)
    state = folder / "checkpoint.safetensors"
    first, seconds = _restore(state, networks, average, optimizers) if state.exists() else (0, 0.0)
    half = fastest_dtype(device) != torch.float32
    if not half:
        use_winograd(model.unet)
    unet = torch.compile(model.unet) if half and compiled else model.unet
    alphas_cumprod = model.scheduler.alphas_cumprod.to(device)

    losses: list[Tensor] = []
    since = time.perf_counter()
    for step, batch in enumerate(batches(config, first, workers), start=first):
        generator = torch.Generator(device).manual_seed(config.seed * 1_000_003 + step)
        clean = unshuffle(batch.images.to(device), UNSHUFFLE)
        noise = torch.randn(clean.shape, generator=generator, device=device)
        timestep = draw_timesteps(len(clean), len(alphas_cumprod), generator)
        alphabar = at(alphas_cumprod, timestep, clean)
        noisy = torch.cat([noised(clean, noise, alphabar), batch.rays.to(device)], dim=1)
        noisy = noisy.contiguous(memory_format=torch.channels_last)
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=half):
            text = model.encode(batch.captions)
            labels = class_labels(text, batch.views)
            predicted = unet(noisy, timestep, text, class_labels=labels, return_dict=False)[0]
        loss = nn.functional.mse_loss(predicted.float(), velocity(clean, noise, alphabar))
        networks.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(networks.parameters(), 1.0)
        for optimizer in optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = config.rate(step)
            optimizer.step()
        with torch.no_grad():
            decay = min(config.average, (1 + step) / (10 + step))
            torch._foreach_lerp_(list(average.values()), list(networks.parameters()), 1 - decay)
        losses.append(loss.detach())

        done = step + 1
        if done % report_every == 0 or done == config.steps:
            elapsed = time.perf_counter() - since
            seconds += elapsed
            yield Progress(done, config.steps, float(torch.stack(losses).mean()), len(losses) * config.batch / elapsed)
            losses.clear()
            since = time.perf_counter()
        if done % save_every == 0 or done == config.steps:
            card = {
                "steps": done,
                "training_seconds": round(seconds),
                "torch": torch.__version__,
                "device": device,
                **asdict(config),
            }
            if origin:
                card["start_from"] = origin
            _save_average(model, networks, average, folder / "model", card)
            _save(state, networks, average, optimizers, done, seconds)


Optimizers = dict[str, torch.optim.Optimizer]


def make_optimizers(networks: nn.Module, learning_rate: float) -> Optimizers:
    """Muon for the matrices and convolutions inside the networks; AdamW for what is not a hidden matrix."""
    outer = ("embeddings", "conv_in", "conv_out")
    inside: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for name, parameter in networks.named_parameters():
        hidden = parameter.ndim >= 2 and not any(part in name for part in outer)
        (inside if hidden else rest).append(parameter)
    return {
        "muon": Muon(inside, lr=learning_rate),
        "adamw": torch.optim.AdamW(rest, lr=learning_rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True),
    }


def _save(path: Path, networks: nn.Module, average: dict[str, Tensor], optimizers: Optimizers, step: int, seconds: float) -> None:
    tensors = {f"network.{k}": v for k, v in networks.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.items()}
    for name, optimizer in optimizers.items():
        tensors |= {f"{name}.{k}": v for k, v in optimizer_tensors(optimizer).items()}
    write_tensors(path, tensors, {"step": str(step), "seconds": str(seconds)})


def _restore(path: Path, networks: nn.Module, average: dict[str, Tensor], optimizers: Optimizers) -> tuple[int, float]:
    tensors, metadata = read_tensors(path)
    part = {
        name: {k.split(".", 1)[1]: v for k, v in tensors.items() if k.startswith(name + ".")}
        for name in ("network", "average", *optimizers)
    }
    networks.load_state_dict(part["network"])
    for name, tensor in average.items():
        tensor.copy_(part["average"][name])
    for name, optimizer in optimizers.items():
        restore_optimizer(optimizer, part[name])
    return int(metadata["step"]), float(metadata["seconds"])


def _save_average(model: ToyboxModel, networks: nn.Module, average: dict[str, Tensor], folder: Path, card: dict) -> None:
    current = {name: parameter.detach().clone() for name, parameter in networks.named_parameters()}
    networks.load_state_dict(average, strict=False)
    model.save(folder, card=card)
    networks.load_state_dict(current, strict=False)
