"""What a batch will take: time and memory, from runs of it that are done, or from a few steps on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from statistics import mean, median
from typing import Any

from df3d.batches.plan import Batch
from df3d.batches.summary import State
from df3d.errors import Df3dError
from df3d.plugin.catalog import Catalog
from df3d.prompt import Prompt
from df3d.protocols import Field
from df3d.recipe.memory import GB, need, total
from df3d.recipe.plan import Plan
from df3d.run.job import prepare
from df3d.run.rundir import RunDir
from df3d.schedule import Step
from df3d.system import cpu

PLACES = (0.1, 0.5, 0.9)  # of a stage, where a step is timed


def forecast(batch: Batch, folder: Path, done: Sequence[State], left: int, workers: int, catalog: Catalog) -> str:
    """In words, the time for `left` runs of which `workers` are made at once, and the memory that each takes."""
    if took := [state.seconds for state in done if state.seconds]:
        seconds, source = median(took), f"at the pace of the {len(took)} that are done"
        memory = max(float(RunDir(folder / state.row.folder).manifest().get("peak_memory_mib", 0)) for state in done) * 2**20
    else:
        first = batch.rows[0]
        try:
            job = prepare(first.prompt, recipe=first.recipe or batch.recipe, settings=batch.settings_of(first),
                          negative=first.negative, device=batch.device, catalog=catalog)  # fmt: skip
            threads = max(1, cpu.threads() // workers)
            seconds, source = measured(job.plan, job.prompt, job.device, threads), "by a few steps of the first, exports aside"
        except (Df3dError, RuntimeError, MemoryError):
            return "how long that takes is told by the first of them"
        memory = 0.0 if job.device == "cpu" else max(total(need(stage)) for stage in job.plan.stages)
    minutes = seconds * -(-left // workers) / 60
    room = f"; each takes about {memory / GB:.1f} GB of memory" if memory else ""
    return f"about {minutes:.0f} minutes, {source}{room}"


def measured(plan: Plan, prompt: Prompt, device: str, threads: int) -> float:
    """Seconds that the steps of all stages take on this machine, on so many cores, from a few of each; sources are left out."""
    import torch

    from df3d.run.parts import build
    from df3d.run.stage import advance

    torch.set_num_threads(threads)
    seconds = 0.0
    fields: dict[str, Field] = {}
    for stage in plan.stages:
        if stage.source:
            continue
        parts = build(stage, device=device, start_from=fields.get(stage.stage.start_from or ""), seed=0)
        encoded: dict[str, Any] = {name: guidance.encode(prompt) for name, (guidance, _) in parts.guidance.items()}
        steps, times = stage.stage.steps, []
        for place in PLACES if steps else ():
            step = Step(int(place * (steps - 1)), steps, stage.name, 0)
            advance(stage, parts, encoded, step, device)  # the first of its kind compiles and allocates
            began = time.perf_counter()
            float(advance(stage, parts, encoded, step, device)["skipped"])
            times.append(time.perf_counter() - began)
        seconds += mean(times or [0.0]) * steps
        fields[stage.name] = parts.field
    return seconds
