"""Options of Score Distillation Sampling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from df3d import option
from df3d.scene.options import ViewConfig
from df3d.schedule import Schedule
from df3d.types import Output

Weighting = Literal["sigma2", "uniform", "fantasia3d"]
NoiseKind = Literal["fresh", "fixed", "sphere", "surface"]
ViewTexts = Literal["discrete", "interpolated", "perp-neg", "perp-neg-strong"]


@dataclass(frozen=True, kw_only=True)
class ViewWords:
    """The prompt of each view in a person's own words; empty: the prompt and `, front view` and so on."""

    front: str = option("", "from the front")
    side: str = option("", "from either side")
    back: str = option("", "from behind")
    overhead: str = option("", "from above")


@dataclass(frozen=True, kw_only=True)
class DistillationConfig:
    """How a diffusion model's opinion becomes a gradient; the same for every model."""

    objective: Literal["sds", "csd", "ism", "vsd", "esd", "asd", "sdi", "reconstruction"] = option(
        "sds",
        "the gradient: noise residual; classifier, interval, variational, entropic or asynchronous score; distance to a clean "
        "image, found by inversion or from noise",
    )
    scale: float = option(100.0, "classifier-free guidance: uncond + scale * (text - uncond)")
    rescale: float = option(
        0.0, "of `reconstruction`: share of the guided prediction's contrast brought back to that of the unguided one with text"
    )
    weighting: Weighting = option("sigma2", "w(t) of all but `reconstruction`: 1 - alphabar, 1, or sqrt(alphabar) (1 - alphabar)")
    t_min: Schedule = option(Schedule(0.02), "lowest timestep, as a share of the noise schedule")
    t_max: Schedule = option(Schedule(0.98), "highest timestep")
    order: Literal["random", "falling"] = option(
        "random", "timesteps: anywhere between `t_min` and `t_max`, or at `t_max`, whose schedule falls, less up to `jitter`"
    )
    jitter: float = option(0.0, "of `falling`: as a share of the noise schedule", low=0.0, high=1.0)
    noise: NoiseKind = option(
        "fresh", "drawn anew at each step, one picture for all, a map wrapped around the object, or carried by its surface"
    )
    noise_every: int = option(0, "steps in which noise that is not fresh turns into another; 0 for never", low=0, high=1_000_000)
    clip_value: Schedule = option(Schedule(0.0), "largest value of the gradient with respect to the latents; 0 for any")
    clip_norm: Schedule = option(Schedule(0.0), "largest root mean square of a view's gradient; 0 for any")
    matting: Schedule = option(
        Schedule(0.0), "of `reconstruction` on pixels: weight of the least opacity with which the clean image can be drawn"
    )
    views: ViewConfig = option(ViewConfig(), "view-dependent prompts")
    view_texts: ViewTexts = option(
        "discrete", "one view's text, a mix of two, or Perp-Neg with threestudio's weights or, strong, stable-dreamfusion's"
    )
    ism_interval: float = option(0.05, "of `ism`: from s to t, as a share of the noise schedule")
    ism_stride: float = option(0.2, "of `ism`: one inversion step before s, likewise")
    asd_shift: float = option(0.1, "of `asd`: how much later its second look is, times t above the lowest", low=0.0, high=1.0)
    inversion_steps: int = option(10, "of `sdi`: steps of the inversion, if it went through the whole schedule", low=1, high=1000)
    inversion_scale: float = option(-7.5, "of `sdi`: guidance of the inversion")
    inversion_noise: float = option(0.3, "of `sdi`: noise in its steps, times what DDIM may add", low=0.0, high=1.0)
    clean_steps: int = option(1, "of `sdi`: steps from the noisy image to the clean one", low=1, high=100)
    view_share: float = option(0.5, "of `esd`: how much the student that knows the view counts", low=0.0, high=1.0)
    student_rank: int = option(4, "of `vsd` and `esd`: rank of the adapter that learns the renders", low=1, high=256)
    student_rate: float = option(1e-4, "of `vsd` and `esd`: its learning rate")
    camera: bool = option(True, "tell the model the camera, where it was trained to know it")
    at_once: int = option(0, "images, or texts of one, that go through the model at once; 0 for all", low=0, high=1024)
    compile: bool = option(False, "compile the model: minutes at first, then fewer launches (CUDA graphs on a GPU)")
    dtype: Literal["auto", "float32", "float16", "bfloat16"] = option(
        "auto", "of the model; auto: float16 on a GPU, bfloat16 on a CPU that has it"
    )

    def __post_init__(self) -> None:
        if not all(0 <= end <= 1 for end in (*self.t_min.ends, *self.t_max.ends)):
            raise ValueError("`t_min` and `t_max` are shares of the noise schedule, between 0 and 1")
        if self.matting != Schedule(0.0) and self.objective != "reconstruction":
            raise ValueError("`matting` needs the objective `reconstruction`, the only one with a clean image: set it to 0")
        if not (0 < self.ism_interval <= 1 and 0 < self.ism_stride <= 1):
            raise ValueError("`ism_interval` and `ism_stride` are shares of the noise schedule, above 0 and at most 1")
        if self.student_rank < 1 or self.student_rate < 0:
            raise ValueError("`student_rank` must be at least 1 and `student_rate` at least 0")


@dataclass(frozen=True, kw_only=True)
class SdsConfig(DistillationConfig):
    """Score Distillation Sampling on a diffusers pipeline folder."""

    model: str = option(
        "", "a name of `df3d models`, a hub ID with an optional @revision, a diffusers pipeline folder, or one .safetensors file"
    )
    family: str = option("sd15", "of a model in one file: a model, named likewise, whose configurations and tokenizer are its own")
    vae: str = option("", "another VAE for the same latents, named likewise: `taesd` takes a ninth of the work")
    size: int = option(0, "pixels along an axis of the pictures that the model sees; 0 for its own size", low=0, high=4096)
    words: ViewWords = option(ViewWords(), "the prompt of each view in your own words")
    latent_until: float = option(
        0.0, "share of the stage in which normals and opacity are taken for latents, without the VAE: shape first, at half the cost"
    )
    checkpoint_vae: bool = option(False, "let the VAE's encoder keep less for its gradient, and compute it again")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.latent_until <= 1:
            raise ValueError("`latent_until` is a share of the stage, between 0 and 1")


@dataclass(frozen=True, kw_only=True)
class MultiViewConfig(SdsConfig):
    """Score distillation on a model that denoises four views of an object together: MVDream."""


def outputs(config: DistillationConfig) -> frozenset[Output]:
    """What these options need of a render beside its colours."""
    needed: set[Output] = {"opacity", "background"} if any(config.matting.ends) else set()
    if config.noise == "surface":
        needed |= {"opacity", "depth"}
    if isinstance(config, SdsConfig) and config.latent_until:
        needed |= {"opacity", "normal"}
    return frozenset(needed)
