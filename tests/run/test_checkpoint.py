"""Checkpoints: what is kept, what goes, and what of a stranger's is refused."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import nn

from df3d.errors import RunError
from df3d.run.checkpoint import KEEP, Checkpoints
from df3d.system.tensors import read_tensors, write_tensors
from df3d.testing import a_mesh


class Part(nn.Linear):
    def __init__(self) -> None:
        super().__init__(3, 2)

    def parameter_groups(self) -> list[dict[str, object]]:
        return [{"params": list(self.parameters())}]

    def before_step(self, step: object) -> None: ...


def stepped() -> tuple[Part, torch.optim.Optimizer]:
    part = Part()
    optimizer = torch.optim.Adam(part.parameters(), lr=0.1, fused=True)
    part(torch.ones(1, 3)).sum().backward()
    optimizer.step()
    return part, optimizer


def test_the_last_few_are_kept(tmp_path: Path) -> None:
    kept, (part, optimizer) = Checkpoints(tmp_path / "coarse"), stepped()
    for step in (2, 4, 6):
        kept.save(step, {"field": part}, optimizer)
    assert [path.name for path in kept.files] == ["step-000004.safetensors", "step-000006.safetensors"][-KEEP:]
    assert kept.steps_done == 6
    again, other = stepped()
    assert kept.restore({"field": again}, other) == 6
    assert torch.equal(again.weight, part.weight)


@pytest.mark.parametrize(
    "name", ["step-².safetensors", "step-12.safetensors", "step-9999999999999.safetensors", "step-.safetensors"]
)
def test_only_names_that_df3d_writes_count(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert Checkpoints(tmp_path).files == []
    assert Checkpoints(tmp_path).steps_done == 0


def test_links_do_not_count(tmp_path: Path) -> None:
    real, (part, optimizer) = Checkpoints(tmp_path / "real"), stepped()
    path = real.save(2, {"field": part}, optimizer)
    (tmp_path / "coarse").mkdir()
    (tmp_path / "coarse" / path.name).symlink_to(path)
    assert Checkpoints(tmp_path / "coarse").files == []
    (tmp_path / "linked").symlink_to(tmp_path / "real")
    with pytest.raises(RunError, match="is a link, which df3d never makes"):
        _ = Checkpoints(tmp_path / "linked").files


MOMENTS = "optimizer.0.exp_avg"


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("field.weight", torch.zeros(2, 4), "`weight` is float32 \\[2, 4\\], not float32 \\[2, 3\\]"),
        ("field.weight", torch.zeros(2, 3, dtype=torch.int32), "`weight` is int32"),
        ("field.weight", torch.full((2, 3), float("inf")), "`weight` holds what is no number"),
        ("field.more", torch.zeros(1), "`more` is not expected"),
        ("field.bias", None, "`bias` is missing"),
        (MOMENTS, torch.zeros(2, 4), "`0.exp_avg` is \\[2, 4\\], not \\[2, 3\\]"),
        (MOMENTS, torch.zeros(1), "`0.exp_avg` is \\[1\\], not \\[2, 3\\]"),
        (MOMENTS, torch.full((2, 3), float("nan")), "holds what it cannot"),
        (MOMENTS, None, "lacks moments"),
        ("optimizer.7.exp_avg", torch.zeros(2, 3), "belongs to no parameter"),
        ("optimizer.-1.exp_avg", torch.zeros(2, 3), "belongs to no parameter"),
        ("optimizer.0.step", torch.tensor(-5.0), "holds what it cannot"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(tmp_path: Path, name: str, value: torch.Tensor | None, reason: str) -> None:
    kept, (part, optimizer) = Checkpoints(tmp_path), stepped()
    path = kept.save(2, {"field": part}, optimizer)
    tensors, metadata = read_tensors(path)
    changed = {key: tensor for key, tensor in {**tensors, name: value}.items() if tensor is not None}
    write_tensors(path, changed, metadata)
    with pytest.raises(RunError, match=reason) as refused:
        kept.restore({"field": part}, optimizer)
    assert str(path) in refused.value.message
    assert refused.value.hint


@pytest.mark.parametrize("data", [b"", b"\xff" * 100, b"\x10\x00\x00\x00\x00\x00\x00\x00{}"], ids=["empty", "rubbish", "cut"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "step-000002.safetensors").write_bytes(data)
    with pytest.raises(RunError, match="cannot be read"):
        Checkpoints(tmp_path).restore({"field": Part()})


def test_the_newest_is_that_of_the_most_steps_whatever_its_name_sorts_as(tmp_path: Path) -> None:
    for name in ("step-999999.safetensors", "step-1000000.safetensors", "step-000004.safetensors"):
        (tmp_path / name).touch()
    found = Checkpoints(tmp_path)
    assert [path.name for path in found.files] == ["step-000004.safetensors", "step-999999.safetensors", "step-1000000.safetensors"]
    assert found.steps_done == 1_000_000


def test_two_checkpoints_are_kept_and_each_says_its_step(tmp_path: Path) -> None:
    kept, (part, optimizer) = Checkpoints(tmp_path / "coarse"), stepped()
    paths = [kept.save(step, {"field": part}, optimizer) for step in (2, 4, 6)]
    assert kept.files == paths[1:]
    assert read_tensors(paths[2])[1] == {"step": "6"}
    assert paths[2].name == "step-000006.safetensors"


def test_clearing_leaves_what_is_somebody_elses(tmp_path: Path) -> None:
    kept, (part, optimizer) = Checkpoints(tmp_path / "coarse"), stepped()
    Checkpoints(tmp_path / "none").clear()
    kept.save(2, {"field": part}, optimizer)
    for name in ("preview-000002.png", ".step-000004.safetensors.0a.tmp", ".preview-000002.png.ff.tmp"):
        (tmp_path / "coarse" / name).touch()
    (tmp_path / "coarse" / "mine.txt").touch()
    kept.clear()
    assert [path.name for path in (tmp_path / "coarse").iterdir()] == ["mine.txt"]
    (tmp_path / "coarse" / "mine.txt").unlink()
    kept.clear()
    assert not (tmp_path / "coarse").exists()


def test_what_a_source_made_is_one_step_and_comes_back(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path / "made")
    assert kept.restore_asset() is None
    kept.save_asset(dataclasses.replace(a_mesh(), provenance={"prompt": "é"}))
    assert kept.steps_done == 1
    again = kept.restore_asset()
    assert again is not None
    assert (again.kind, again.provenance) == ("mesh", {"prompt": "é"})
    other = Checkpoints(tmp_path / "other")
    other.save_asset(dataclasses.replace(a_mesh(), others=(a_mesh().material,)))  # of a kind that is not kept
    assert other.files == []


def test_a_reason_is_one_line(tmp_path: Path) -> None:
    class Fussy(Part):
        def load_state_dict(self, state: object) -> None:  # type: ignore[override]
            raise RuntimeError("the first line\nand a second")

    kept, (part, _) = Checkpoints(tmp_path), stepped()
    kept.save(2, {"field": part}, None)
    with pytest.raises(RunError) as refused:
        kept.restore({"field": Fussy()})
    assert refused.value.message.endswith("does not fit this recipe: the first line")
