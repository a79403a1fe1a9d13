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


def test_progress_is_0_at_the_first_step_and_1_at_the_last() -> None:
    assert [Step(index, 5).progress for index in range(5)] == [0.0, 0.25, 0.5, 0.75, 1.0]
    assert Step(0, 1).progress == 0.0


def test_a_schedule_that_jumps_and_one_of_part_of_the_way() -> None:
    jump = Schedule(1.0, 3.0, since=0.5, until=0.5)
    assert [jump.at(Step(index, 5)) for index in range(5)] == [1.0, 1.0, 1.0, 3.0, 3.0]
    early = Schedule(0.0, 10.0, until=0.5)
    assert [early.at(Step(index, 5)) for index in range(5)] == pytest.approx([0.0, 5.0, 10.0, 10.0, 10.0])
    late = Schedule(0.0, 10.0, since=0.5)
    assert [late.at(Step(index, 5)) for index in range(5)] == pytest.approx([0.0, 0.0, 0.0, 5.0, 10.0])


def test_seeds_that_are_far_apart_draw_apart() -> None:
    """Each seed has numbers of its own, whatever the rest of the key comes to."""
    seeds = [Step(0, 10, "coarse", seed).generator("x").initial_seed() for seed in range(100)]
    assert [number >> 32 for number in seeds] == list(range(100))
