from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from df3d.errors import RunError
from df3d.system.tensors import check_tensors, load_state, optimizer_tensors, read_tensors, restore_optimizer, write_tensors
from df3d.types import TensorRule


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


def test_a_number_at_its_limit_is_taken_and_one_beyond_it_refused() -> None:
    def look(rule: TensorRule, *values: float, name: str = "x", **others: torch.Tensor) -> None:
        tensor = torch.tensor(values) if not rule.indexes else torch.tensor(values, dtype=torch.int64)
        given = {name: tensor, **others}
        check_tensors(given, {key: (value.dtype, tuple(value.shape)) for key, value in given.items()}, {name: rule})

    look(TensorRule(low=0, high=1), 0.0, 1.0)
    look(TensorRule(indexes="rows"), 0, 2, rows=torch.zeros(3))
    for rule, values in ((TensorRule(low=0), (-0.1,)), (TensorRule(high=1), (1.1,)), (TensorRule(low=0, high=1), (0.5, -1e-6))):
        with pytest.raises(ValueError, match="`x` holds .*, which it cannot"):
            look(rule, *values)
    for index in (-1, 3):
        with pytest.raises(ValueError, match=f"`x` holds {index}, which it cannot"):
            look(TensorRule(indexes="rows"), 0, index, rows=torch.zeros(3))
    with pytest.raises(ValueError, match="holds what is no number"):
        look(TensorRule(), 1.0, float("nan"))


def test_rows_are_as_many_as_those_of_another_tensor() -> None:
    expected = {"x": (torch.float32, (9, 2)), "of": (torch.float32, (4, 3))}
    rules = {"x": TensorRule(rows="of"), "of": TensorRule(rows="of")}
    check_tensors({"x": torch.zeros(7, 2), "of": torch.zeros(7, 3)}, expected, rules)
    with pytest.raises(ValueError, match=r"`x` is float32 \[6, 2\], not float32 \[7, 2\]"):
        check_tensors({"x": torch.zeros(6, 2), "of": torch.zeros(7, 3)}, expected, rules)
    with pytest.raises(ValueError, match=r"`of` is float32 \[0, 3\], not float32 \[1, 3\]"):
        check_tensors({"x": torch.zeros(1, 2), "of": torch.zeros(0, 3)}, expected, rules)


def test_what_may_be_missing_may_and_the_rest_may_not() -> None:
    expected = {"x": (torch.float32, (1,)), "y": (torch.float32, (1,))}
    check_tensors({"x": torch.zeros(1)}, expected, {}, {"y"})
    with pytest.raises(ValueError, match="`x` is missing"):
        check_tensors({"y": torch.zeros(1)}, expected, {}, {"y"})
    with pytest.raises(ValueError, match="`a` is not expected"):
        check_tensors({"x": torch.zeros(1), "b": torch.zeros(1), "a": torch.zeros(1)}, expected, {})


def test_a_part_may_say_what_its_tensors_are() -> None:
    class Part:
        state_rules = {"x": TensorRule(rows="x", low=0)}

        def __init__(self) -> None:
            self.x = torch.zeros(2)

        def state_dict(self) -> dict[str, torch.Tensor]:
            return {"x": self.x}

        def load_state_dict(self, state: Mapping[str, torch.Tensor]) -> None:
            self.x = state["x"]

    part = Part()
    load_state(part, {"x": torch.ones(5)})
    assert part.x.tolist() == [1.0] * 5
    with pytest.raises(ValueError, match="`x` holds -1"):
        load_state(part, {"x": -torch.ones(5)})
    assert part.x.tolist() == [1.0] * 5


def test_an_optimiser_of_a_stranger_may_keep_what_is_smaller_and_nothing_larger() -> None:
    class Own(torch.optim.Optimizer):
        def __init__(self, parameters: list[torch.nn.Parameter]) -> None:
            super().__init__(parameters, {"lr": 0.1})

    parameter = torch.nn.Parameter(torch.zeros(2, 3))
    optimizer = Own([parameter])
    given = torch.ones(3)
    restore_optimizer(optimizer, {"0.row": given, "0.count": torch.tensor(2.0)})
    assert torch.equal(optimizer.state[parameter]["row"], torch.ones(3))
    given.zero_()
    assert torch.equal(optimizer.state[parameter]["row"], torch.ones(3)), "a copy of its own"
    with pytest.raises(ValueError, match=r"`0.row` is \[7\], not \[2, 3\]"):
        restore_optimizer(optimizer, {"0.row": torch.ones(7)})


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_an_adam_without_its_moments_is_refused(kind: type[torch.optim.Adam]) -> None:
    optimizer = kind([torch.nn.Parameter(torch.zeros(2))])
    moments = {"0.step": torch.tensor(1.0), "0.exp_avg": torch.zeros(2), "0.exp_avg_sq": torch.zeros(2)}
    restore_optimizer(optimizer, moments)
    for name in moments:
        with pytest.raises(ValueError, match="lacks moments"):
            restore_optimizer(optimizer, {key: value for key, value in moments.items() if key != name})
    for index in ("1", "x", "-1", "²"):
        with pytest.raises(ValueError, match="belongs to no parameter"):
            restore_optimizer(optimizer, {f"{index}.exp_avg": torch.zeros(2)})


def test_what_needs_a_gradient_is_written_as_it_is(tmp_path: Path) -> None:
    write_tensors(tmp_path / "a", {"x": torch.ones(2, requires_grad=True), "y": torch.arange(6).view(2, 3).mT})
    tensors, metadata = read_tensors(tmp_path / "a")
    assert tensors["y"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert not tensors["x"].requires_grad
    assert metadata == {}
