"""Options of Score Distillation Sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from df3d.config import option
from df3d.prompt import ViewConfig
from df3d.schedule import Schedule

Weighting = Literal["sigma2", "uniform", "fantasia3d"]


@dataclass(frozen=True, kw_only=True)
class DistillationConfig:
    """How a diffusion model's opinion becomes a gradient; the same for every model."""

    objective: Literal["sds", "reconstruction"] = option("sds", "noise residual, or distance to the predicted clean image")
    scale: float = option(100.0, "classifier-free guidance: uncond + scale * (text - uncond)")
    rescale: float = option(
        0.0, "share of the guided prediction's contrast that is brought back to that of the unguided one with text"
    )
    weighting: Weighting = option("sigma2", "w(t) of `sds`: 1 - alphabar, 1, or sqrt(alphabar) (1 - alphabar)")
    t_min: Schedule = option(Schedule(0.02), "lowest timestep, as a share of the noise schedule")
    t_max: Schedule = option(Schedule(0.98), "highest timestep")
    views: ViewConfig = option(ViewConfig(), "view-dependent prompts")
    camera: bool = option(True, "tell the model the camera, where it was trained to know it")
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = option("auto", "of the model: bfloat16 on a CPU, float16 on a GPU")

    def __post_init__(self) -> None:
        ends = [end for share in (self.t_min, self.t_max) for end in (share.start, share.end) if end is not None]
        if not all(0 <= end <= 1 for end in ends):
            raise ValueError("`t_min` and `t_max` are shares of the noise schedule, between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class SdsConfig(DistillationConfig):
    """Score Distillation Sampling on a diffusers pipeline folder."""

    model: str = option("", "a diffusers pipeline folder on disk")
