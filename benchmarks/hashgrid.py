"""How much faster the numba hash encoding is than its torch twin: forward and backward to the table, in one run.

python benchmarks/hashgrid.py [--points 200000] [--levels 8]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import df3d  # noqa: F401 - first, for it settles how the threads of torch wait

# isort: split
import torch
from df3d_hashgrid.config import GridConfig
from df3d_hashgrid.encoding.numba import NumbaEncoding
from df3d_hashgrid.encoding.torch import TorchEncoding

from df3d.system import cpu, machine


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=200_000)
    parser.add_argument("--levels", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    machine.keep_freed_memory()  # as every run does
    torch.manual_seed(0)
    config = GridConfig(levels=options.levels, log2_table=14, finest=128)
    encodings = {"torch": TorchEncoding(config), "numba": NumbaEncoding(config)}
    points = torch.rand(options.points, 3)
    cotangent = torch.randn(options.points, options.levels * config.features)

    def step(name: str) -> None:
        features = encodings[name](points, options.levels)
        torch.autograd.grad(features, encodings[name].table, cotangent)

    times: dict[str, list[float]] = {name: [] for name in encodings}
    for name in encodings:
        step(name)
    for _ in range(options.rounds):  # in turn, so that both see the same machine
        for name in encodings:
            times[name].append(seconds(lambda name=name: step(name)))
    medians = {name: statistics.median(values) for name, values in times.items()}
    ratios = [slow / fast for slow, fast in zip(times["torch"], times["numba"], strict=True)]
    print(f"{options.points} points, {options.levels} levels, {cpu.threads()} threads, median of {options.rounds} rounds in turn")
    print(f"torch {medians['torch'] * 1e3:.0f} ms, numba {medians['numba'] * 1e3:.1f} ms")
    print(f"torch / numba: {statistics.median(ratios):.1f} (from {min(ratios):.1f} to {max(ratios):.1f})")


if __name__ == "__main__":
    main()
