from __future__ import annotations

from pathlib import Path

import pytest
import torch

from df3d.errors import RunError
from df3d.system.tensors import optimizer_tensors, read_tensors, restore_optimizer, write_tensors


def test_tensors_come_back_with_their_metadata(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.safetensors"
    write_tensors(path, {"x": torch.arange(6.0).view(2, 3).T}, {"step": "7"})
    tensors, metadata = read_tensors(path)
    assert torch.equal(tensors["x"], torch.arange(6.0).view(2, 3).T)
    assert metadata == {"step": "7"}


@pytest.mark.parametrize("damage", [b"", b"not safetensors at all", b"\xff" * 64])
def test_a_damaged_file_is_named_with_a_way_out(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "a.safetensors"
    path.write_bytes(damage)
    with pytest.raises(RunError) as error:
        read_tensors(path)
    assert str(path) in error.value.message
    assert "--fresh" in error.value.hint


def test_a_cut_file_is_damaged_too(tmp_path: Path) -> None:
    path = tmp_path / "a.safetensors"
    write_tensors(path, {"x": torch.ones(1000)})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(RunError, match="cannot be read"):
        read_tensors(path)


def test_an_optimizer_goes_on_as_if_it_had_never_stopped() -> None:
    def steps(parameter: torch.nn.Parameter, optimizer: torch.optim.Adam, count: int) -> None:
        for _ in range(count):
            optimizer.zero_grad()
            (parameter**3).sum().backward()
            optimizer.step()

    whole = torch.nn.Parameter(torch.ones(4))
    first = torch.optim.Adam([whole], lr=0.1)
    steps(whole, first, 3)
    half = torch.nn.Parameter(whole.detach().clone())
    second = torch.optim.Adam([half], lr=0.1)
    restore_optimizer(second, optimizer_tensors(first))
    steps(whole, first, 2)
    steps(half, second, 2)
    assert torch.equal(whole, half)
