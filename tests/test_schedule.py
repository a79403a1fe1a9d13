from __future__ import annotations

import pytest

from df3d.schedule import Schedule, Step


def test_a_schedule_goes_in_a_straight_line_between_its_shares() -> None:
    schedule = Schedule(1.0, 0.0, since=0.25, until=0.75)
    values = [schedule.at(Step(index, 101)) for index in (0, 25, 50, 75, 100)]
    assert values == pytest.approx([1.0, 1.0, 0.5, 0.0, 0.0])
    assert Schedule(3.0).at(Step(7, 10)) == 3.0
    assert (schedule.ends, Schedule(3.0).ends) == ((1.0, 0.0), (3.0,))


def test_random_numbers_depend_on_seed_stage_step_and_purpose_alone() -> None:
    def draw(step: Step, purpose: str) -> int:
        return int(step.generator(purpose).initial_seed())

    step = Step(3, 10, "coarse", 1)
    assert draw(step, "light") == draw(Step(3, 99, "coarse", 1), "light")
    others = [draw(Step(4, 10, "coarse", 1), "light"), draw(Step(3, 10, "fine", 1), "light")]
    others += [draw(Step(3, 10, "coarse", 2), "light"), draw(step, "jitter")]
    assert len({draw(step, "light"), *others}) == 5
