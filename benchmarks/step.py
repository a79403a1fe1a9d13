"""What a whole SDS step of the toybox recipe costs, beside the bare diffusion forward of the same batch, in one run.

    python benchmarks/step.py [--steps 60] [--prompt "a red car"]

The field is first optimised for --warm steps, so that it has the samples of a shape and not of an empty start.
"""

from __future__ import annotations

import argparse
import statistics
import time

import df3d  # noqa: F401 - first, for it settles how the threads of torch wait

# isort: split
import torch

from df3d.plugin.catalog import Catalog
from df3d.prompt import Prompt
from df3d.recipe import recipe
from df3d.recipe.compose import compose
from df3d.run.parts import build
from df3d.run.stage import advance
from df3d.schedule import Step
from df3d.system import cpu, machine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompt", default="a red car")
    parser.add_argument("--warm", type=int, default=250)
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    machine.keep_freed_memory()
    catalog = Catalog.discover()
    plan = compose(recipe.find("toybox", catalog), catalog).stages[0]
    parts = build(plan, device="cpu", start_from=None, seed=0)
    ((name, (guidance, _)),) = parts.guidance.items()
    encoded = guidance.encode(Prompt(options.prompt))
    total = plan.stage.steps
    denoiser = guidance.denoiser  # type: ignore[attr-defined]
    views = parts.cameras.sample(Step(0, total))
    noisy = torch.randn(2 * len(views), 3, 64, 64)
    text = encoded.negative.expand(len(noisy), -1, -1)
    told = views.times(2)
    timestep = torch.full((len(noisy),), 500)

    def whole_step(index: int) -> None:
        advance(plan, parts, {name: encoded}, Step(index, total, plan.name), "cpu")

    for index in range(options.warm):
        whole_step(index)
    whole, bare = [], []
    for index in range(options.warm, options.warm + options.steps):
        start = time.perf_counter()
        whole_step(index)
        middle = time.perf_counter()
        denoiser.predict(noisy, timestep, text, told)
        whole.append(middle - start)
        bare.append(time.perf_counter() - middle)
    ratio = statistics.median(a / b for a, b in zip(whole, bare, strict=True))
    print(f"{len(views)} views, guided; median of {options.steps} steps after {options.warm}, {cpu.threads()} threads")
    print(f"whole step {statistics.median(whole) * 1e3:.0f} ms, bare forward {statistics.median(bare) * 1e3:.0f} ms")
    print(f"step / forward: {ratio:.2f}")


if __name__ == "__main__":
    main()
