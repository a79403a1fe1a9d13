"""The grid of what is expected: what it finds, how it forgets, and what of it is drawn."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from df3d_hashgrid.march import march
from df3d_hashgrid.occupancy import OccupancyGrid
from torch import Tensor

from df3d.schedule import Step


@dataclass
class Even:
    """A field of one density everywhere."""

    value: float = 1.0

    def density(self, points: Tensor) -> Tensor:
        return torch.full((len(points),), self.value)


def grid(**options: float) -> OccupancyGrid:
    return OccupancyGrid(8, decay=options.get("decay", 0.9), every=int(options.get("every", 1)), device="cpu")


def test_what_is_gone_fades_by_the_decay_and_what_comes_is_there_at_once() -> None:
    cells, field = grid(), Even(2.0)
    cells.refresh(field, Step(0, 100))
    assert cells.most[4, 4, 4] == 2.0
    assert cells.least[4, 4, 4] == 2.0
    field.value = 0.0
    for index in range(1, 4):
        cells.refresh(field, Step(index, 100))
        assert float(cells.most[4, 4, 4]) == pytest.approx(2.0 * 0.9**index)
        assert cells.least[4, 4, 4] == 0.0  # at once: no ray may end where nothing is
    field.value = 5.0
    cells.refresh(field, Step(4, 100))
    assert cells.most[4, 4, 4] == 5.0


def test_it_looks_when_it_is_time() -> None:
    cells, field = grid(every=4), Even(1.0)
    cells.refresh(field, Step(1, 100))  # the first time always
    assert cells.most[4, 4, 4] == 1.0
    field.value = 3.0
    cells.refresh(field, Step(2, 100))
    assert cells.most[4, 4, 4] == 1.0
    cells.refresh(field, Step(4, 100))
    assert cells.most[4, 4, 4] == 3.0


def test_the_neighbours_of_what_is_there_may_be_grown_into() -> None:
    class Corner:
        def density(self, points: Tensor) -> Tensor:
            return (points > 0.25).all(-1).float() * (points < 0.5).all(-1).float()  # one cell, number 5

    cells = grid()
    cells.refresh(Corner(), Step(0, 100))  # type: ignore[arg-type]
    assert float(cells.most[4:7, 4:7, 4:7].min()) == 1.0
    assert float(cells.most.sum()) == 27
    assert float(cells.least.max()) == 0.0


@pytest.mark.parametrize("backend", ["numba", "torch"])
def test_a_cell_is_drawn_from_the_opacity_of_a_step_on(backend: str) -> None:
    """1 - exp(-density * step) against `occupied`."""
    origins, directions = torch.tensor([[0.0, 0.0, 3.0]]), torch.tensor([[0.0, 0.0, -1.0]])
    step, occupied = 0.05, 0.2
    limit = -math.log(1 - occupied) / step

    def samples(density: float) -> int:
        most = torch.full((4, 4, 4), density)
        found = march(
            origins, directions, torch.zeros(1), most, 0 * most, step=step, occupied=occupied, opaque=1e-3, backend=backend
        )
        return len(found.points)

    assert samples(limit * 0.98) == 0
    assert samples(limit * 1.02) >= 39


def test_a_step_that_is_done_again_does_not_look_again() -> None:
    cells, field = grid(), Even(2.0)
    cells.refresh(field, Step(0, 100))
    field.value = 0.0
    cells.refresh(field, Step(0, 100))
    assert cells.most[4, 4, 4] == 2.0
    cells.refresh(field, Step(1, 100))
    assert float(cells.most[4, 4, 4]) == pytest.approx(1.8)


def test_what_is_kept_is_put_back_and_not_shared() -> None:
    first, second, field = grid(every=4), grid(every=4), Even(2.0)
    first.refresh(field, Step(0, 100))
    field.value = 0.0
    first.refresh(field, Step(4, 100))
    state = first.state()
    second.load_state(state)
    assert torch.equal(second.most, first.most)
    assert torch.equal(second.least, first.least)
    state.fill_(9.0)
    second.refresh(Even(5.0), Step(5, 100))  # it is no new one: the next time is at step 8
    assert torch.equal(second.most, first.most)
    second.refresh(field, Step(8, 100))
    assert float(second.most[4, 4, 4]) == pytest.approx(2.0 * 0.9**2)


def test_only_cells_that_reach_into_the_ball_are_looked_at() -> None:
    """A cell is 0.25 wide: its farthest corner is 0.217 from its middle."""
    asked: list[Tensor] = []

    class Watched:
        def density(self, points: Tensor) -> Tensor:
            asked.append(points)
            return torch.ones(len(points))

    cells = grid()
    cells.refresh(Watched(), Step(0, 100))  # type: ignore[arg-type]
    axis = (torch.arange(8) + 0.5) / 4 - 1
    centers = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), dim=-1).view(-1, 3)
    (points,) = asked
    assert len(points) == int((centers.norm(dim=-1) < 1.225).sum())
    middles = ((points + 1) * 4).floor().add(0.5).div(4).sub(1)
    assert len(torch.unique(middles, dim=0)) == len(points)  # each in a cell of its own
    again = grid()
    again.refresh(Watched(), Step(0, 100))  # type: ignore[arg-type]
    assert torch.equal(asked[1], points)
    again.refresh(Watched(), Step(1, 100))  # type: ignore[arg-type]
    assert not torch.equal(asked[2], points)
