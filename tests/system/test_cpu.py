from __future__ import annotations

import os
from pathlib import Path

import pytest

from df3d.system import cpu


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("count", [0, 1, 7, 1000])
def test_every_item_is_done_once(monkeypatch: pytest.MonkeyPatch, threads: int, count: int) -> None:
    monkeypatch.setattr(cpu, "threads", lambda: threads)
    parts: list[tuple[int, int]] = []
    cpu.split(count, lambda start, stop: parts.append((start, stop)), least=3)
    assert sorted(i for start, stop in parts for i in range(start, stop)) == list(range(count))
    assert len(parts) == max(1, min(threads, count // 3))


def test_an_error_in_a_part_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu, "threads", lambda: 2)

    def work(start: int, stop: int) -> None:
        if start:
            raise ValueError("second part")

    with pytest.raises(ValueError, match="second part"):
        cpu.split(10, work)


def test_first_time_is_said_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cpu, "_CACHE", tmp_path)
    assert cpu.first_time()
    assert not cpu.first_time()


def test_as_many_threads_as_are_asked_for_and_no_more_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    def counted(limit: str) -> int:
        monkeypatch.setenv("OMP_NUM_THREADS", limit)
        cpu.threads.cache_clear()
        return cpu.threads()

    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 1, 2, 3, 5, 7}, raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    try:
        assert [counted(limit) for limit in ("1", "4", "6", "9", "0", "", "4,2", "all")] == [1, 4, 6, 6, 6, 6, 6, 6]
        monkeypatch.delattr(os, "sched_getaffinity")
        assert [counted(limit) for limit in ("8", "")] == [8, 64]
        monkeypatch.setattr(os, "cpu_count", lambda: None)
        assert counted("") == 1
    finally:
        cpu.threads.cache_clear()


def test_a_kernel_divides_by_nothing_as_numpy_does() -> None:
    options = cpu.kernel(lambda x: 1.0 / x).targetoptions
    assert options["error_model"] == "numpy"
    assert options["nogil"]
    assert options["fastmath"] == {"contract"}  # nothing that rounds differently from run to run
