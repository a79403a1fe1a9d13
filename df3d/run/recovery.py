"""What a stage does about a step that goes wrong: memory that runs out, or a gradient that is not a number.

Out of memory: the parts that can do with less go down one rung, and the same step is done again, the optimiser as it was.
Not a number: the step is skipped; many in a row, and the stage goes back to its last checkpoint with smaller steps.
What was learnt is kept in `run.json`, so that a resumed run begins where this one came down to.
"""

from __future__ import annotations

import gc
from dataclasses import asdict, dataclass
from typing import Any

import torch

from df3d.errors import RunError
from df3d.run.parts import Parts

SKIPS = 10  # bad steps in a row that are too many
ROLLBACKS = 3  # tries with smaller steps before giving up
OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "STATUS_ALLOC_FAILED")  # of torch, the system, cuBLAS and cuDNN
SHRINK = 0.5  # factor on the learning rates at each of them


@dataclass
class Recovery:
    """How far down one stage has come."""

    rung: int = 0  # times that memory ran out and something could be done
    rollbacks: int = 0  # times that the stage went back

    def table(self) -> dict[str, Any]:
        """For `run.json`; empty when nothing ever went wrong."""
        return asdict(self) if self.rung or self.rollbacks else {}

    def apply(self, parts: Parts) -> None:
        """Bring new parts to where the stage had come."""
        for _ in range(self.rung):
            parts.save_memory()
        for group in parts.optimizer.param_groups:
            group["base_lr"] *= SHRINK**self.rollbacks

    def go_down(self, parts: Parts) -> str:
        """Make the parts use less memory; says how.

        Raises RunError when nothing is left to try.
        """
        parts.optimizer.zero_grad(set_to_none=True)
        whole = {key for state in parts.optimizer.state.values() for key in state}
        for parameter, state in list(parts.optimizer.state.items()):
            if set(state) != whole:  # memory ran out while its moments were made
                del parts.optimizer.state[parameter]
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        how = parts.save_memory()
        if not how:
            raise RunError(
                "out of memory, and nothing is left to save",
                "start anew with fewer or smaller views, --fresh --set cameras.views=1 --set cameras.size=32, or a smaller model",
            )
        self.rung += 1
        return f"out of memory: {how}, and the same step again"

    def go_back(self, parts: Parts, stage: str, step: int) -> str:
        """Make the steps smaller; says so.

        Raises RunError when that has been tried often enough.
        """
        if self.rollbacks >= ROLLBACKS:
            raise RunError(
                f"the optimisation of stage `{stage}` diverged: gradients are not numbers at step {step}, "
                f"after {ROLLBACKS} tries with smaller steps",
                "start anew (--fresh) with a lower learning rate or guidance scale; `df3d export` writes what was saved before",
            )
        self.rollbacks += 1
        for group in parts.optimizer.param_groups:
            group["base_lr"] *= SHRINK
        return f"{SKIPS} gradients in a row are not numbers: going back, with learning rates times {SHRINK**self.rollbacks:g}"


def out_of_memory(error: BaseException) -> bool:
    """Whether an error is a device or the system running out of memory."""
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in OUT_OF_MEMORY)


def bad_gradients(optimizer: torch.optim.Optimizer) -> torch.Tensor:
    """() 1.0 where a gradient is infinite or not a number, or else 0.0, on the device: nothing waits for it."""
    gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
    if not gradients:
        return torch.zeros(())
    norms = torch.stack([norm.float() for norm in torch._foreach_norm(gradients)])
    return (~torch.isfinite(norms.sum())).float()


def step_unless_bad(optimizer: torch.optim.Optimizer) -> torch.Tensor:
    """Step, unless a gradient is infinite or not a number; returns () 1.0 if it was."""
    bad = bad_gradients(optimizer)
    if all(group.get("fused") for group in optimizer.param_groups):
        optimizer.found_inf = bad  # type: ignore[attr-defined]  # fused optimisers leave everything as it is where this is 1
        optimizer.step()
    elif not bad:
        optimizer.step()
    return bad
