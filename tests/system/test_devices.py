from __future__ import annotations

import pytest

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
