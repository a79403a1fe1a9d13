from __future__ import annotations

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
