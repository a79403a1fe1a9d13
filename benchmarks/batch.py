"""What `df3d batch` gains over a shell loop of `df3d generate`, and what it costs.

python benchmarks/batch.py loop [--runs 4]       # assets per hour of both, in turn: whole runs of the toybox, minutes each
python benchmarks/batch.py worker [--runs 50]    # of one worker: its first run against its second, its memory after many
python benchmarks/batch.py driver                # time and memory a row of a list of 1,000 and of 10,000, with instant runs
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from pathlib import Path

from df3d.batches import lists, make, plan, summary
from df3d.batches.lists import Mistakes
from df3d.batches.worker import Worker
from df3d.plugin.catalog import Catalog
from df3d.system import cpu

PROMPTS = ["a red car", "a brown dog", "a blue chair", "a yellow mushroom", "a white boat", "a green mug", "a snowman", "a rocket"]
SHORT = ["steps=6", "cameras.views=2", "cameras.size=32", "field.resolution=12", "export.texture_size=64", "export.turntable=32"]


def loop(runs: int) -> None:
    """The same assets both ways, each way in an empty folder; what is compiled for this machine is compiled before."""
    prompts = PROMPTS[:runs]
    with tempfile.TemporaryDirectory() as folder:
        _df3d(folder, "generate", "a red car", "--out", "warm", "--quiet", *(f"--set={setting}" for setting in SHORT))
        began = time.perf_counter()
        for prompt in prompts:
            _df3d(folder, "generate", prompt, "--quiet")
        alone = time.perf_counter() - began
        print(f"df3d generate, one after the other: {alone / runs:.1f} s an asset, {3600 * runs / alone:.0f} an hour", flush=True)
        Path(folder, "list.txt").write_text("\n".join(prompts))
        for workers in sorted({1, cpu.threads()}):
            began = time.perf_counter()
            _df3d(folder, "batch", "list.txt", "--out", f"many{workers}", "--workers", str(workers))
            took = time.perf_counter() - began
            words = f"{took / runs:.1f} s an asset, {3600 * runs / took:.0f} an hour"
            print(f"df3d batch, {workers} at once: {words}: {alone / took:.2f} times as many", flush=True)


def _df3d(folder: str, *command: str) -> None:
    subprocess.run([sys.executable, "-m", "df3d", *command], cwd=folder, check=True, capture_output=True)


def worker(runs: int) -> None:
    """Short runs in this process; its memory is what the system says it holds."""
    catalog, mistakes = Catalog.discover(), Mistakes("the list")
    with tempfile.TemporaryDirectory() as folder:
        listed = plan.expand(lists.entries(["a red car"], mistakes), range(runs), "toybox", SHORT, "cpu", mistakes)
        plan.save(listed, Path(folder))
        times, memory, began = [], [], time.perf_counter()
        for _ in Worker(Path(folder), catalog).work():
            times.append(time.perf_counter() - began)
            memory.append(_resident())
            began = time.perf_counter()
    print(f"first run {times[0]:.2f} s, second {times[1]:.2f} s: {times[1] / times[0]:.2f} of it")
    print(f"median of all {statistics.median(times):.2f} s")
    print(f"memory after 5 runs {memory[4]:.0f} MB, after {runs} {memory[-1]:.0f} MB: {memory[-1] / memory[4]:.3f} times")


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def driver() -> None:
    """Everything that the driver does, the runs aside: they are there at once. Imports are not counted: a few rows come first."""
    _drive(10)
    for rows in (1000, 10_000):
        seconds = _drive(rows)
        tracemalloc.start()
        _drive(rows)
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        print(f"{rows} rows: {seconds / rows * 1e3:.3f} ms and {most / rows / 1e3:.1f} KB a row", flush=True)


def _drive(rows: int) -> float:
    """Seconds that the driver of a batch takes, from its list to its gallery."""
    catalog, mistakes = Catalog.discover(), Mistakes("list.csv")
    text = "prompt,seed\n" + "".join(f"a red car,{number}\n" for number in range(rows))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        began = time.perf_counter()
        listed = plan.planned(lists.read(text, mistakes), [0], "toybox", [], "cpu", catalog, mistakes)
        plan.save(listed, folder)
        told = time.perf_counter() - began
        for row in listed.rows:
            _finish(folder / row.folder, row.prompt, row.seed)
        began = time.perf_counter()
        found = make.make(listed, folder, make.crew(catalog, "local"))
        told += time.perf_counter() - began
        assert summary.counted(found) == f"{rows} done"
    return told


def _finish(place: Path, prompt: str, seed: int) -> None:
    """A run that took no time."""
    place.mkdir()
    (place / "run.json").write_text(
        json.dumps({"prompt": prompt, "seed": seed, "status": "finished", "asset": "asset.glb", "seconds": 0})
    )
    (place / "asset.glb").touch()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["loop", "worker", "driver"])
    parser.add_argument("--runs", type=int)
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores")
    if options.what == "loop":
        loop(options.runs or 4)
    elif options.what == "worker":
        worker(options.runs or 50)
    else:
        driver()


if __name__ == "__main__":
    main()
