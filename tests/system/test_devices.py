from __future__ import annotations

import pytest
import torch

from df3d.errors import ConfigError
from df3d.system import devices


@pytest.mark.parametrize(("size", "expected"), [("8G", 8e9), ("7.5GB", 7.5e9), (" 6000M ", 6e9), ("1g", 1e9)])
def test_sizes_of_memory_are_read(size: str, expected: float) -> None:
    assert devices.memory_budget(size, "cpu") == expected


@pytest.mark.parametrize("size", ["8", "much", "0G", "-1G", "1T"])
def test_other_sizes_are_refused(size: str) -> None:
    with pytest.raises(ConfigError, match="is not a size of memory"):
        devices.memory_budget(size, "cpu")


def test_a_cpu_has_no_budget_and_is_always_there() -> None:
    assert devices.memory_budget(None, "cpu") is None
    assert devices.check_device("cpu") == "cpu"
    assert devices.expected("cpu") == ("cpu", "the device is the CPU")
    with pytest.raises(ConfigError, match="there is no device `tpu`"):
        devices.check_device("tpu")


def test_where_there_is_no_gpu_auto_is_the_cpu_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpu_is_there", lambda: False)
    assert devices.expected("auto") == ("cpu", "there is no GPU")
    monkeypatch.setattr(devices, "gpu_is_there", lambda: True)
    monkeypatch.setattr(devices, "check_device", lambda name: "cuda")
    assert devices.expected("auto") == ("cuda", "there is a GPU")


def test_a_gpu_shows_by_its_tool_or_its_files(monkeypatch: pytest.MonkeyPatch) -> None:
    there: set[str] = set()
    monkeypatch.setattr(devices, "which", lambda name: "/bin/nvidia-smi" if name in there else None)
    monkeypatch.setattr(devices.Path, "exists", lambda self: str(self) in there)
    assert not devices.gpu_is_there()
    for name in ("nvidia-smi", "/dev/nvidia0", "/dev/kfd"):
        there.add(name)
        assert devices.gpu_is_there(), name
        there.clear()


def test_a_gpu_that_torch_does_not_find_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpu_is_there", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.expected("auto") == ("cpu", "torch finds no GPU")
    with pytest.raises(ConfigError, match="there is no device `cuda:0` on this machine") as error:
        devices.check_device("cuda:0")
    assert "--device cpu" in error.value.hint


def test_the_device_that_is_named_becomes_the_current_one(monkeypatch: pytest.MonkeyPatch) -> None:
    current: list[int] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 12)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    assert [devices.check_device(name) for name in ("cuda", "cuda:3", "cuda:11", "auto")] == ["cuda", "cuda:3", "cuda:11", "cuda"]
    assert current == [0, 3, 11]
    for name in ("cuda:12", "cuda:x", "cuda:", "CUDA", "cuda:-1"):
        with pytest.raises(ConfigError, match="there is no device"):
            devices.check_device(name)


def test_without_torch_auto_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "find_spec", lambda name: None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert devices.check_device("auto") == "cpu"


def test_what_fits_is_what_is_free_on_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (5 if device.index == 1 else 7, 16))
    assert (devices.memory_budget(None, "cuda:1"), devices.memory_budget(None, "cuda")) == (5.0, 7.0)
    assert devices.memory_budget("8M", "cuda") == 8e6


@pytest.mark.parametrize(
    ("told", "expected"), [("0,1", ["0", "1"]), (" 3 , GPU-8f ", ["3", "GPU-8f"]), ("", []), ("-1", []), ("2,-1", ["2"])]
)
def test_visible_gpus_are_those_that_the_environment_names(monkeypatch: pytest.MonkeyPatch, told: str, expected: list[str]) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", told)
    monkeypatch.setattr(devices, "gpu_is_there", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert devices.visible_gpus() == expected


def test_visible_gpus_are_all_there_are_without_a_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(devices, "gpu_is_there", lambda: True)
    assert devices.visible_gpus() == ["0", "1"]
    monkeypatch.setattr(devices, "gpu_is_there", lambda: False)
    assert devices.visible_gpus() == []
