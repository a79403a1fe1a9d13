"""The device a run computes on, and how much memory it has. torch is imported only where a GPU may be."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from df3d.errors import ConfigError


def gpu_is_there() -> bool:
    """Whether there seems to be a GPU, without importing torch."""
    return which("nvidia-smi") is not None or any(Path(device).exists() for device in ("/dev/nvidia0", "/dev/kfd"))


def expected(device: str) -> tuple[str, str]:
    """Whether `auto` or a device's name will mean "cpu" or "cuda", and why; torch is imported only where there is a GPU."""
    if device == "cpu":
        return "cpu", "the device is the CPU"
    if not gpu_is_there():
        return "cpu", "there is no GPU"
    return ("cpu", "torch finds no GPU") if check_device(device) == "cpu" else ("cuda", "there is a GPU")


def check_device(name: str) -> str:
    """`auto`, `cpu`, or `cuda[:N]` as torch calls it, which becomes the current one; torch is imported only for a GPU.

    Raises ConfigError when there is no such device.
    """
    if name == "cpu" or (name == "auto" and find_spec("torch") is None):
        return "cpu"
    if name != "auto" and not re.fullmatch(r"cuda(:\d+)?", name):
        raise ConfigError(f"there is no device `{name}`", "choose from `auto`, `cpu`, `cuda`, `cuda:1`, ...")
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    number = name.removeprefix("cuda:") if ":" in name else "0"
    if not torch.cuda.is_available() or int(number) >= torch.cuda.device_count():
        raise ConfigError(f"there is no device `{name}` on this machine", "use --device cpu; `df3d doctor` shows what is there")
    torch.cuda.set_device(int(number))  # kernels of Triton and tinycudann run on the current one
    return name


def memory_budget(size: str | None, device: str) -> float | None:
    """Bytes to fit into: `size` as in 8G, 7.5GB or 6000M; without it what is free on the GPU, and None on a CPU.

    Raises ConfigError when `size` is not one.
    """
    if size is not None:
        found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([GM])B?", size.strip(), re.IGNORECASE)
        if not found or not float(found[1]):
            raise ConfigError(f"`{size}` is not a size of memory", "write for example --vram 8G")
        return float(found[1]) * (1e9 if found[2].upper() == "G" else 1e6)
    if not device.startswith("cuda"):
        return None
    import torch

    return float(torch.cuda.mem_get_info(torch.device(device))[0])


def visible_gpus() -> list[str]:
    """The GPUs that this process may use, as CUDA_VISIBLE_DEVICES names them; torch is imported only where there is one."""
    told = os.environ.get("CUDA_VISIBLE_DEVICES")
    if told is not None:
        return [name.strip() for name in told.split(",") if name.strip() and name.strip() != "-1"]
    if not gpu_is_there():
        return []
    import torch

    return [str(number) for number in range(torch.cuda.device_count())]
