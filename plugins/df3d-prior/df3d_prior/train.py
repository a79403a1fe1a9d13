"""Training a prior on pictures that its sources draw as they are needed.

Resumable: the same folder goes on where it stopped, and every random draw depends on the seed and the step alone.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from copy import deepcopy
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from threading import Event
from typing import Any

import numpy as np
import torch
from df3d_diffusion.conditioning import class_labels, ray_map, sketch_map, view_code
from df3d_diffusion.loading import fastest_dtype
from df3d_diffusion.noising import at, noised, velocity
from df3d_diffusion.pixel import unshuffle
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from df3d.errors import ConfigError, RunError, Stopped
from df3d.scene.options import ViewConfig
from df3d.system import machine
from df3d.system.tensors import optimizer_tensors, read_tensors, restore_optimizer, write_tensors
from df3d_prior.config import TrainConfig
from df3d_prior.model import SIZE, UNSHUFFLE, Model
from df3d_prior.muon import Muon
from df3d_prior.sketches import Sketches
from df3d_prior.sources import Drawn, Source, views_of
from df3d_prior.winograd import use_winograd
from df3d_prior.words import EMPTY

CHECKPOINT = "checkpoint.safetensors"
SAVE_SECONDS = 300.0


@dataclass(frozen=True)
class Batch:
    images: Tensor  # (B, 3, SIZE, SIZE) in [-1, 1]
    captions: list[str]  # canonical
    sketches: Tensor  # (B, 2, SKETCH_CHANNELS, SKETCH, SKETCH)
    rays: Tensor  # (B, RAY_CHANNELS, SIZE / UNSHUFFLE, SIZE / UNSHUFFLE)
    views: Tensor  # (B, VIEW_CODES)


@dataclass(frozen=True)
class Progress:
    step: int  # steps done
    steps: int
    loss: float  # mean over the steps since the last report
    images_per_second: float


@dataclass(frozen=True)
class Mix:
    """Sources, how often a picture is of each, the sketches of what they show, and how many pictures in a row are of one object."""

    sources: tuple[Source, ...]
    shares: tuple[float, ...]
    sketches: Sketches
    views: int = 1

    def draw(self, rng: np.random.Generator, count: int, size: int) -> Drawn:
        """Pictures of all sources."""
        counts = self.views * rng.multinomial(count // self.views, np.array(self.shares) / sum(self.shares))
        drawn = [source.draw(rng, int(n), size) for source, n in zip(self.sources, counts, strict=True) if n]
        images, azimuth, elevation = (
            np.concatenate([getattr(d, name) for d in drawn]) for name in ("images", "azimuth", "elevation")
        )
        return Drawn(images, [caption for d in drawn for caption in d.captions], azimuth, elevation)


def draw_batch(config: TrainConfig, mix: Mix, step: int) -> Batch:
    """The training pictures of a step: random captions, proportions and cameras."""
    rng = np.random.default_rng((config.seed, step))
    size = SIZE // 2 if config.halved(step) else SIZE
    drawn = mix.draw(rng, config.batch, size)
    blind = rng.random(config.batch) < config.drop_camera
    words, sketches, views, dropped = [], [], ViewConfig(), False
    for i, (caption, azimuth, elevation) in enumerate(zip(drawn.captions, drawn.azimuth, drawn.elevation, strict=True)):
        blind[i] &= not caption.sketched  # a sketch is seen from somewhere
        named = rng.random() < (0.75 if blind[i] else 0.3)
        view = views.view(float(azimuth), float(elevation)) if named else None
        dropped = dropped if i % mix.views else rng.random() < config.drop_text
        words.append(EMPTY if dropped else caption.canonical(view))
        sketches.append(mix.sketches.of(None if dropped else caption, float(azimuth), float(elevation)))
    images = torch.from_numpy(drawn.images).permute(0, 3, 1, 2) * 2 - 1
    known, unseen = views_of(drawn.azimuth, drawn.elevation, size), torch.from_numpy(blind)
    rays = [ray_map(seen, config.batch, size // UNSHUFFLE) for seen in (None, known)]
    codes = [view_code(seen, config.batch) for seen in (None, known)]
    told = torch.where(unseen[:, None, None, None], *rays), torch.where(unseen[:, None], *codes)
    return Batch(images, words, torch.stack(sketches), *told)


def batches(config: TrainConfig, mix: Mix, first: int, workers: int) -> Iterator[Batch]:
    """Every step's pictures from `first` on, drawn ahead by so many threads, or as they are asked for."""
    steps = iter(range(first, config.steps))
    if not workers:
        yield from (draw_batch(config, mix, step) for step in steps)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="df3d-draw") as pool:
        waiting = deque(pool.submit(draw_batch, config, mix, step) for step in islice(steps, 2 * workers))
        try:
            while waiting:
                batch = waiting.popleft().result()
                waiting.extend(pool.submit(draw_batch, config, mix, step) for step in islice(steps, 1))
                yield batch
        finally:
            pool.shutdown(cancel_futures=True)


def draw_timesteps(count: int, steps: int, generator: torch.Generator) -> Tensor:
    """(count,) timesteps, half of them from the noisiest three tenths, where caption and camera decide the picture."""
    share, pick = torch.rand(2, count, generator=generator, device=generator.device)
    low = torch.where(pick < 0.5, 0.7, torch.where(pick < 0.8, 0.3, 0.0))
    return ((low + 0.3 * share + 0.1 * share * (low == 0.3)) * steps).long().clamp(max=steps - 1)


def train(
    config: TrainConfig,
    mix: Mix,
    model: Model,
    folder: Path,
    *,
    card: dict[str, Any] | None = None,
    device: str = "cpu",
    compiled: bool = True,
    workers: int = 0,
    also: Callable[[Path], None] = lambda folder: None,
    about: str = "",
    stop: Event | None = None,
    report_every: int = 50,
    save_every: int = 250,
) -> Iterator[Progress]:
    """Train a model in `folder`, going on from its checkpoint; the averaged weights are left in `folder/model`.

    `workers` threads draw the pictures ahead of the training; they are the same for any number of them. `card` is what the model's
    card says beside what this training adds; `also` writes what else the model's folder needs. `about` tells this training from
    others. It is saved every `save_every` steps and SAVE_SECONDS, and once `stop` is set.
    Raises ConfigError when the checkpoint is of another training, RunError when it cannot be written, Stopped once it is saved
    because of `stop`.
    """
    machine.keep_freed_memory()
    torch.manual_seed(config.seed)
    networks = nn.ModuleDict(model.networks()).to(device)
    model.unet.to(memory_format=torch.channels_last)
    average = {name: parameter.detach().clone() for name, parameter in networks.named_parameters()}
    optimizers = make_optimizers(networks, config.learning_rate)
    check_folder(folder, about)
    state = folder / CHECKPOINT
    first, seconds = _restore(state, config, networks, average, optimizers) if state.exists() else (0, 0.0)

    def save(done: int) -> None:
        told = {"steps": done, "training_seconds": round(seconds), "torch": torch.__version__, "device": device, **asdict(config)}
        remembered = {"step": str(done), "seconds": str(seconds), "config": recorded(config), "about": about}
        with writing(folder), _new_model(folder) as new:
            _write_average(model, networks, average, new, {**told, **(card or {})}, also)
            _save(state, networks, average, optimizers, remembered)

    if first == config.steps:  # it may have been stopped between the two
        save(first)
    half = fastest_dtype(device) != torch.float32
    if not half:
        use_winograd(model.unet)
    unet = torch.compile(model.unet) if half and compiled else model.unet
    alphas_cumprod = model.scheduler.alphas_cumprod.to(device)

    losses: list[Tensor] = []
    since = saved = time.perf_counter()
    for step, batch in enumerate(batches(config, mix, first, workers), start=first):
        generator = torch.Generator(device).manual_seed(config.seed * 1_000_003 + step)
        clean = unshuffle(batch.images.to(device), UNSHUFFLE)
        noise = torch.randn(clean.shape, generator=generator, device=device)
        timestep = draw_timesteps(len(clean) // mix.views, len(alphas_cumprod), generator).repeat_interleave(mix.views)
        alphabar = at(alphas_cumprod, timestep, clean)
        seen = [batch.rays.to(device), sketch_map(batch.sketches.to(device), clean.shape[-1])]
        noisy = torch.cat([noised(clean, noise, alphabar), *seen], dim=1)
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
        stopping = stop is not None and stop.is_set() and done < config.steps
        if done % save_every == 0 or done == config.steps or stopping or time.perf_counter() - saved > SAVE_SECONDS:
            saved = time.perf_counter()
            save(done)
        if stopping:
            raise Stopped(f"step {done} of {config.steps}")


def speed(config: TrainConfig, mix: Mix, model: Model, *, device: str = "cpu", compiled: bool = True, steps: int = 6) -> float:
    """Pictures a second, of a few steps on a copy of the model."""
    with tempfile.TemporaryDirectory() as folder:
        few = replace(config, images=config.batch * 10_000, small=0.0)
        progress = train(
            few, mix, deepcopy(model), Path(folder), device=device, compiled=compiled, report_every=steps // 2, save_every=1 << 30
        )
        next(progress)
        return next(progress).images_per_second


def recorded(config: TrainConfig) -> str:
    """What a checkpoint remembers of how it was trained."""
    return json.dumps(asdict(config), sort_keys=True)


def check_folder(folder: Path, about: str) -> None:
    """Look at a training's folder before it begins, or goes on.

    Raises ConfigError when it holds another training, or what no training left.
    """
    state = folder / CHECKPOINT
    hint = "choose another folder with --out"
    if not state.is_file():
        taken = next((name for name in ("model", "samples.png") if (folder / name).exists()), None)
        if taken:
            raise ConfigError(f"`{folder}` has a `{taken}`, and no training that left it", hint)
        return
    with suppress(SafetensorError), safe_open(state, framework="pt") as file:  # a damaged one is told of when it is read
        before = (file.metadata() or {}).get("about", about)
        if before and about and before != about:
            raise ConfigError(f"the training in `{folder}` is of another library, or began with another prior", hint)


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a disk that is full, or a folder that cannot be written, into one sentence; what was saved before stays."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        yield
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise RunError(f"cannot save the training in `{folder}`: {why}", "make room, then run the same command again") from None


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


def _save(path: Path, networks: nn.Module, average: dict[str, Tensor], optimizers: Optimizers, metadata: dict[str, str]) -> None:
    tensors = {f"network.{k}": v for k, v in networks.state_dict().items()}
    tensors |= {f"average.{k}": v for k, v in average.items()}
    for name, optimizer in optimizers.items():
        tensors |= {f"{name}.{k}": v for k, v in optimizer_tensors(optimizer).items()}
    write_tensors(path, tensors, metadata)


def _restore(
    path: Path, config: TrainConfig, networks: nn.Module, average: dict[str, Tensor], optimizers: Optimizers
) -> tuple[int, float]:
    """Go on from a checkpoint: the steps and the seconds that it has behind it."""
    try:
        tensors, metadata = read_tensors(path)
    except RunError as error:
        raise RunError(error.message, "delete that file to begin anew, or give another folder with --out") from None
    try:
        _check_config(metadata.get("config", recorded(config)), config, path.parent)
        _put_back(tensors, networks, average, optimizers)
        return int(metadata["step"]), float(metadata["seconds"])
    except (KeyError, ValueError, RuntimeError) as error:
        why = str(error).splitlines()[0]
        raise ConfigError(f"the training in `{path.parent}` cannot go on: {why}", "give another folder with --out") from None


def _check_config(text: str, config: TrainConfig, folder: Path) -> None:
    before, now = json.loads(text), asdict(config)
    changed = [name for name in now if before.get(name) != now[name]]
    if changed:
        name = changed[0]
        raise ConfigError(
            f"the training in `{folder}` has {name} {before.get(name)}, and not {now[name]}",
            "give the same numbers again, or another folder with --out",
        )


def _put_back(tensors: dict[str, Tensor], networks: nn.Module, average: dict[str, Tensor], optimizers: Optimizers) -> None:
    part = {
        name: {k.split(".", 1)[1]: v for k, v in tensors.items() if k.startswith(name + ".")}
        for name in ("network", "average", *optimizers)
    }
    networks.load_state_dict(part["network"])
    for name, tensor in average.items():
        tensor.copy_(part["average"][name])
    for name, optimizer in optimizers.items():
        restore_optimizer(optimizer, part[name])


@contextmanager
def _new_model(folder: Path) -> Iterator[Path]:
    """A folder to write a model into, which becomes `folder/model` if nothing fails."""
    new = folder / "model.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        yield new
        shutil.rmtree(folder / "model", ignore_errors=True)
        new.rename(folder / "model")
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _write_average(
    model: Model, networks: nn.Module, average: dict[str, Tensor], folder: Path, card: dict[str, Any], also: Callable[[Path], None]
) -> None:
    """Write the averaged weights into a folder."""
    current = {name: parameter.detach().clone() for name, parameter in networks.named_parameters()}
    networks.load_state_dict(average, strict=False)
    model.save(folder, card=card)
    also(folder)
    networks.load_state_dict(current, strict=False)
