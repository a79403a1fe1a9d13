"""Every door takes what strangers send: it reads it, or says in one sentence why not. `tests/fuzzing.py` sends more."""

from __future__ import annotations

import random

import pytest
from fuzzing import DOORS, once, prepared
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SLOW = ("model", "clip")  # whole networks are built


@pytest.mark.parametrize("name", DOORS)
def test_the_valid_input_is_read(name: str) -> None:
    assert once(name, prepared(name)[1]) == ""


@pytest.mark.parametrize("name", DOORS)
def test_what_strangers_send_is_read_or_refused(name: str) -> None:
    @settings(
        max_examples=5 if name.startswith(SLOW) else 25,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**32))
    def send(seed: int) -> None:
        data = DOORS[name].mutate(prepared(name)[1], random.Random(seed))
        assert once(name, data) == "", data[:2000]

    send()
