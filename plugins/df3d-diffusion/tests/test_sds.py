"""Score distillation on a denoiser whose score is known in closed form, and the shape of its gradient on any."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from denoisers import Gaussian
from df3d_diffusion.config import DistillationConfig, SdsConfig, ViewWords, outputs
from df3d_diffusion.objectives import OBJECTIVES, Query
from df3d_diffusion.sds import Distillation, from_config
from pipelines import write_single_file, write_taesd
from torch import Tensor

from df3d.errors import ConfigError, ModelError
from df3d.prompt import Prompt
from df3d.scene.cameras import orbit
from df3d.scene.options import ViewConfig
from df3d.schedule import Schedule, Step
from df3d.types import Cameras, RenderOutput


def render(images: Tensor) -> RenderOutput:
    return RenderOutput(images, torch.ones_like(images[..., :1]))


def distillation(denoiser: Gaussian, **changes: object) -> Distillation:
    config = {"scale": 1.0, "weighting": "uniform", "t_min": Schedule(0.5), "t_max": Schedule(0.501), **changes}
    return Distillation(SdsConfig(**config), denoiser)  # type: ignore[arg-type]


def gradient(guidance: Distillation, images: Tensor, step: Step = Step(0, 10), cameras: Cameras | None = None) -> Tensor:
    images = images.clone().requires_grad_()
    encoded = guidance.encode(Prompt("yes"))
    guided = guidance.step(render(images), cameras or orbit(len(images), size=8), encoded, step)  # type: ignore[arg-type]
    guided.loss.backward()
    assert images.grad is not None
    return images.grad


@pytest.mark.parametrize("weighting", ["sigma2", "uniform", "fantasia3d"])
@pytest.mark.parametrize("scale", [1.0, 7.5])
def test_the_gradient_is_the_formula(weighting: str, scale: float) -> None:
    """w(t) * (uncond + scale * (text - uncond) - eps), by hand, through d latents / d images = 2, per view."""
    denoiser = Gaussian({"yes": 0.5, "": -0.25})
    guidance = distillation(denoiser, weighting=weighting, scale=scale, views=ViewConfig(enabled=False))
    images = torch.rand(2, 8, 8, 3)
    found = gradient(guidance, images)
    step = Step(0, 10)
    generator = step.generator("guidance")
    timestep = torch.randint(500, 501, (2,), generator=generator)
    noise = torch.randn(2, 3, 8, 8, generator=generator)
    alphabar = denoiser.alphas_cumprod[timestep][:, None, None, None]
    noisy = alphabar.sqrt() * (images.permute(0, 3, 1, 2) * 2 - 1) + (1 - alphabar).sqrt() * noise
    text, uncond = (denoiser.predict(noisy, timestep, torch.tensor([[[mean, 0.1]]]).repeat(2, 1, 1), None) for mean in (0.5, -0.25))
    w = {"sigma2": 1 - alphabar, "uniform": torch.ones_like(alphabar), "fantasia3d": alphabar.sqrt() * (1 - alphabar)}[weighting]
    expected = 2 * w * (uncond + scale * (text - uncond) - noise) / 2
    torch.testing.assert_close(found, expected.permute(0, 2, 3, 1), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("objective", ["sds", "reconstruction"])
def test_descent_ends_at_the_mean_of_the_data(objective: str) -> None:
    """The optimum of SDS on N(mean, spread^2) is the mean, from above and from below; a flipped sign runs away from it."""
    denoiser = Gaussian({"yes, front view": 0.4, "yes, side view": 0.4, "yes, back view": 0.4, "": 0.4})
    guidance = distillation(denoiser, objective=objective, t_min=Schedule(0.02), t_max=Schedule(0.6))
    encoded = guidance.encode(Prompt("yes"))
    images = torch.stack([torch.zeros(8, 8, 3), torch.ones(8, 8, 3)]).requires_grad_()
    optimizer = torch.optim.Adam([images], lr=0.02)
    for index in range(300):
        optimizer.zero_grad()
        guidance.step(render(images), orbit(2, size=8), encoded, Step(index, 300)).loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * (1 - index / 300)
        optimizer.step()
    torch.testing.assert_close(images.mean((1, 2, 3)), torch.tensor([0.7, 0.7]), atol=0.03, rtol=0)


def test_reconstruction_is_the_distance_to_the_predicted_clean_image() -> None:
    denoiser = Gaussian({}, spread=1e-4)  # knows that every image is 0: the clean image is 0 whatever the noise
    images = torch.rand(2, 8, 8, 3)
    found = gradient(distillation(denoiser, objective="reconstruction"), images)
    torch.testing.assert_close(found, 2 * (images * 2 - 1) / 2, atol=1e-3, rtol=0)


@pytest.mark.parametrize("weight", [0.0, 2.0])
def test_matting_asks_for_the_opacity_that_the_clean_image_needs(weight: float) -> None:
    """A white clean image over grey needs all of it, however far the colour that is there now."""
    denoiser = Gaussian({"yes, front view": 1.0, "": 1.0}, spread=1e-4)  # knows that every image is white
    denoiser.clip = 1.0  # a model of pixels
    guidance = distillation(denoiser, objective="reconstruction", matting=Schedule(weight))
    rgb, opacity = torch.full((1, 8, 8, 3), 0.4), torch.full((1, 8, 8, 1), 0.25, requires_grad=True)
    background = torch.full((1, 8, 8, 3), 0.5, requires_grad=True)
    view = RenderOutput(rgb.requires_grad_(), opacity, background=background)
    guidance.step(view, orbit(1, size=8), guidance.encode(Prompt("yes")), Step(0, 10)).loss.backward()
    assert background.grad is None  # a learned one does not move to need less
    if weight:  # d/do of weight * (2 - 2 o)^2 / 2
        torch.testing.assert_close(opacity.grad, torch.full((1, 8, 8, 1), -4 * weight * 0.75), atol=1e-2, rtol=0)
    else:
        assert opacity.grad is None


def test_matting_says_what_it_cannot_work_with() -> None:
    with pytest.raises(ValueError, match="`matting` needs the objective `reconstruction`"):
        DistillationConfig(matting=Schedule(1.0))
    with pytest.raises(ConfigError, match="`guidance.matting` is for models of pixels"):
        gradient(distillation(Gaussian({}), objective="reconstruction", matting=Schedule(1.0)), torch.rand(1, 8, 8, 3))


def test_every_view_is_encoded_and_the_negative_prompt_replaces_no_text() -> None:
    denoiser = Gaussian({})
    distillation(denoiser, words=ViewWords(back="a car's boot")).encode(Prompt("a car", negative="ugly"))
    assert denoiser.asked == ["a car", "a car, front view", "a car, side view", "a car's boot", "a car, overhead view", "ugly"]


def test_a_model_that_knows_cameras_is_told_them_and_not_the_view() -> None:
    denoiser = Gaussian({"yes, front view": 9.0}, knows_cameras=True)
    guidance = distillation(denoiser)
    images = torch.rand(2, 8, 8, 3)
    unmoved = gradient(guidance, images)
    told = denoiser.cameras[0]
    assert told is not None
    assert told.azimuth.tolist() == [0.0, -180.0, 0.0, -180.0]  # for the text, and again for no text
    blind = Gaussian({"yes, front view": 9.0}, knows_cameras=True)
    moved = gradient(distillation(blind, camera=False), images)
    assert blind.cameras == [None]
    assert not torch.allclose(unmoved[0], moved[0])
    assert torch.allclose(unmoved[1], moved[1])


def timesteps(guidance: Distillation, index: int, *, seeds: int) -> Tensor:
    """Those that four views have in a step, over some seeds."""
    encoded = guidance.encode(Prompt("x"))
    views = render(torch.rand(4, 4, 4, 3)), orbit(4, size=4)
    drawn = [guidance.step(*views, encoded, Step(index, 10, seed=seed)).timestep for seed in range(seeds)]
    return torch.cat([timestep for timestep in drawn if timestep is not None])


def test_timesteps_stay_in_their_range_as_it_moves() -> None:
    guidance = distillation(Gaussian({}), t_min=Schedule(0.1), t_max=Schedule(0.9, 0.3))
    for index, high in ((0, 900), (9, 300)):
        drawn = timesteps(guidance, index, seeds=50)
        assert drawn.min() >= 100
        assert drawn.max() < high
        assert drawn.max() > high - 0.2 * (high - 100)


def test_the_same_step_gives_the_same_gradient() -> None:
    images = torch.rand(2, 8, 8, 3)
    first, second = (gradient(distillation(Gaussian({})), images) for _ in range(2))
    assert torch.equal(first, second)
    assert not torch.equal(first, gradient(distillation(Gaussian({})), images, Step(1, 10)))


def test_with_less_memory_the_gradient_is_the_same() -> None:
    images = torch.rand(6, 8, 8, 3)
    means = {"yes, front view": 0.4, "yes, side view": -0.2, "yes, back view": 0.1, "": -0.5}
    whole, little = (distillation(Gaussian(means), scale=5.0, view_texts="perp-neg") for _ in range(2))
    expected = gradient(little, images)  # of 24 rows: two texts and two to avoid, for each view
    said = [little.save_memory() for _ in range(5)]
    assert said[:3] == [f"asking the model about {rows} images at a time" for rows in (12, 6, 3)]
    assert said[3:] == ["asking the model about 1 image at a time", ""]
    torch.testing.assert_close(expected, gradient(whole, images))
    torch.testing.assert_close(gradient(little, images), expected)
    assert len(little.denoiser.cameras) == 1 + 24  # type: ignore[attr-defined]


def test_shape_comes_first_where_it_is_taken_for_latents(stable_diffusion: Path) -> None:
    """Before `latent_until` the loss trains normals and opacity and no colour; after it colour alone."""
    guidance = from_config(SdsConfig(model=str(stable_diffusion), latent_until=0.5, dtype="float32"))
    encoded = guidance.encode(Prompt("a red car"))
    for index, early in ((0, True), (8, False)):
        rgb, opacity, normal = (torch.rand(1, 16, 16, channels).requires_grad_() for channels in (3, 1, 3))
        view = RenderOutput(rgb, opacity, normal=normal)
        guidance.step(view, orbit(1, size=16), encoded, Step(index, 10)).loss.backward()
        assert (rgb.grad is None) == early
        assert (normal.grad is None) == (opacity.grad is None) == (not early)
    assert outputs(guidance.config) == {"opacity", "normal"}
    assert outputs(SdsConfig()) == set()
    assert outputs(SdsConfig(objective="reconstruction", matting=Schedule(1.0, 0.0))) == {"opacity", "background"}


def test_shape_as_latents_spans_them(stable_diffusion: Path) -> None:
    """Normals as they are, opacity from -1 to 1: a surface that nothing covers is -1."""
    guidance = from_config(SdsConfig(model=str(stable_diffusion), latent_until=1.0, dtype="float32"))
    normal, opacity = torch.full((1, 16, 16, 3), 0.4), torch.full((1, 16, 16, 1), 0.25)
    latents = guidance._shape_as_latents(RenderOutput(torch.rand(1, 16, 16, 3), opacity, normal=normal))
    torch.testing.assert_close(latents[0, :, 3, 3], torch.tensor([0.4, 0.4, 0.4, -0.5]))


def test_timesteps_fall_with_their_schedule_within_a_jitter() -> None:
    guidance = distillation(Gaussian({}), order="falling", jitter=0.05, t_max=Schedule(0.9, 0.3), t_min=Schedule(0.0))
    for index, top in ((0, 900), (9, 300)):
        drawn = timesteps(guidance, index, seeds=30)
        assert int(drawn.max()) <= top
        assert int(drawn.max()) > top - 10
        assert top - 52 < int(drawn.min()) < top - 35
    exact = distillation(Gaussian({}), order="falling", t_max=Schedule(0.5))
    assert timesteps(exact, 3, seeds=1).tolist() == [500] * 4


def test_a_student_that_is_not_told_the_view_reads_the_plain_prompt() -> None:
    """ESD's second student; the first reads that of the view."""
    guidance = distillation(Gaussian({"yes": 0.5, "yes, front view": 0.7}), objective="sds")
    asked: list[Tensor] = []

    class Student:
        def predict(self, noisy: Tensor, timestep: Tensor, text: Tensor, cameras: Cameras | None) -> Tensor:
            asked.append(text)
            return torch.zeros_like(noisy)

        def loss(self, *given: object) -> Tensor:
            return torch.zeros(())

    guidance._student = Student()  # type: ignore[assignment]
    guidance.config = SdsConfig(objective="esd")
    encoded = guidance.encode(Prompt("yes"))
    guidance.step(render(torch.rand(2, 8, 8, 3)), orbit(2, size=8)[:1].times(2), encoded, Step(0, 10))
    told, untold = asked
    assert torch.equal(told, encoded.views["front"].expand(2, -1, -1))
    assert torch.equal(untold, encoded.views[None].expand(2, -1, -1))


class Watched(Gaussian):
    """One that remembers the timesteps it was asked at, and that it was compiled."""

    def __init__(self, means: dict[str, float], **options: object) -> None:
        super().__init__(means, **options)  # type: ignore[arg-type]
        self.timesteps: list[list[int]] = []
        self.compiled = 0

    def predict(self, noisy: Tensor, timestep: Tensor, text: Tensor, cameras: Cameras | None) -> Tensor:
        self.timesteps.append(timestep.tolist())
        return super().predict(noisy, timestep, text, cameras)

    def compile(self) -> None:
        self.compiled += 1


def test_a_model_is_compiled_where_that_is_wanted() -> None:
    denoiser = Watched({})
    distillation(denoiser)
    assert denoiser.compiled == 0
    distillation(denoiser, compile=True)
    assert denoiser.compiled == 1


def test_the_second_look_begins_at_the_lowest_timestep_of_the_step() -> None:
    """At 500, of at least 300, and half of the difference later."""
    denoiser = Watched({})
    options = {"order": "falling", "t_min": Schedule(0.3), "t_max": Schedule(0.5), "asd_shift": 0.5}
    gradient(distillation(denoiser, objective="asd", **options), torch.rand(1, 4, 4, 3))
    assert sorted({t for asked in denoiser.timesteps for t in asked}) == [500, 600]


@pytest.mark.parametrize("order", ["random", "falling"])
def test_the_ends_of_the_schedule_are_timesteps_of_it(order: str) -> None:
    last = distillation(Gaussian({}), order=order, t_min=Schedule(1.0), t_max=Schedule(1.0))
    assert timesteps(last, 0, seeds=2).tolist() == [999] * 8
    first = distillation(Gaussian({}), order=order, t_min=Schedule(0.0), t_max=Schedule(0.0))
    assert timesteps(first, 0, seeds=2).tolist() == [0] * 8


def test_the_timestep_is_told_as_a_share() -> None:
    guidance = distillation(Gaussian({}))
    guided = guidance.step(render(torch.rand(2, 4, 4, 3)), orbit(2, size=4), guidance.encode(Prompt("x")), Step(0, 10))
    assert float(guided.stats["t"]) == pytest.approx(0.5)


def test_gradients_are_clipped_as_their_schedules_say() -> None:
    """Of latents, which move twice as fast as the images; for two views each half."""
    images = torch.rand(2, 8, 8, 3)
    free = gradient(distillation(Gaussian({})), images)
    by_value = gradient(distillation(Gaussian({}), clip_value=Schedule(0.0, 0.1)), images, Step(9, 10))
    assert float(by_value.abs().max()) == pytest.approx(0.1)
    assert float(free.abs().max()) > 0.2
    by_norm = gradient(distillation(Gaussian({}), clip_norm=Schedule(0.05)), images)
    torch.testing.assert_close(by_norm.square().mean((1, 2, 3)).sqrt(), torch.full((2,), 0.05))
    unlike = gradient(distillation(Gaussian({}), clip_value=Schedule(0.0, 0.1)), images, Step(0, 10))
    torch.testing.assert_close(unlike, free)


def test_the_noise_is_of_the_kind_that_is_asked_for() -> None:
    images = torch.rand(2, 8, 8, 3)
    steps = Step(0, 10), Step(1, 10)
    same = [gradient(distillation(Gaussian({}), noise="fixed"), images, step) for step in steps]
    assert torch.equal(*same)
    turning = [gradient(distillation(Gaussian({}), noise="fixed", noise_every=1), images, step) for step in steps]
    assert torch.equal(turning[0], same[0])
    assert not torch.equal(*turning)


def test_the_last_step_of_taking_shapes_for_latents(stable_diffusion: Path) -> None:
    """A share of one half of eleven steps is over at the sixth."""
    guidance = from_config(SdsConfig(model=str(stable_diffusion), latent_until=0.5, dtype="float32"))
    encoded = guidance.encode(Prompt("a red car"))
    for index, early in ((4, True), (5, False)):
        rgb, normal = (torch.rand(1, 16, 16, 3).requires_grad_() for _ in range(2))
        view = RenderOutput(rgb, torch.ones(1, 16, 16, 1), normal=normal)
        guidance.step(view, orbit(1, size=16), encoded, Step(index, 11)).loss.backward()
        assert (rgb.grad is None) == early


def test_only_models_of_four_channels_take_shapes_for_latents(deepfloyd: Path) -> None:
    guidance = from_config(SdsConfig(model=str(deepfloyd), latent_until=1.0, dtype="float32"))
    view = RenderOutput(torch.rand(1, 8, 8, 3), torch.ones(1, 8, 8, 1), normal=torch.rand(1, 8, 8, 3))
    with pytest.raises(ConfigError, match="models with four latent channels"):
        guidance.step(view, orbit(1, size=8), guidance.encode(Prompt("a red car")), Step(0, 10))


def opacity_gradient(image: float, opacity: float, count: int = 1) -> Tensor:
    """Of matting with weight 1, for a model that knows the clean image, over grey."""
    denoiser = Gaussian({"yes, front view": image, "yes, back view": image, "": image}, spread=1e-4)
    denoiser.clip = 1.0
    guidance = distillation(denoiser, objective="reconstruction", matting=Schedule(1.0))
    leaf = torch.full((count, 8, 8, 1), opacity, requires_grad=True)
    grey = torch.full((count, 8, 8, 3), 0.5)
    view = RenderOutput(grey.clone().requires_grad_(), leaf, background=grey)
    guidance.step(view, orbit(count, size=8), guidance.encode(Prompt("yes")), Step(0, 10)).loss.backward()
    assert leaf.grad is not None
    return leaf.grad


def test_more_opacity_than_is_needed_is_no_fault() -> None:
    assert opacity_gradient(0.0, 0.6).abs().max() < 1e-3  # nothing is there, and that needs none


def test_matting_is_a_mean_over_the_views() -> None:
    torch.testing.assert_close(opacity_gradient(1.0, 0.25, 2)[0], opacity_gradient(1.0, 0.25)[0] / 2, atol=1e-2, rtol=0)


def test_the_student_learns_under_the_text_and_camera_of_each_view() -> None:
    denoiser = Gaussian({"yes": 0.5, "yes, front view": 0.7}, knows_cameras=True)
    seen: list[tuple[object, ...]] = []

    class Student:
        def predict(self, noisy: Tensor, timestep: Tensor, text: Tensor, cameras: Cameras | None) -> Tensor:
            return torch.zeros_like(noisy)

        def loss(self, *given: object) -> Tensor:
            seen.append(given)
            return torch.full((), 5.0)

    for camera in (False, True):
        guidance = distillation(denoiser)
        guidance._student = Student()  # type: ignore[assignment]
        guidance.config = SdsConfig(objective="vsd", camera=camera, student_rate=0.5)
        encoded = guidance.encode(Prompt("yes"))
        front = orbit(1, size=8)
        guidance.step(render(torch.rand(1, 8, 8, 3)), front, encoded, Step(0, 10))
        _, text, told, _ = seen[-1]
        assert torch.equal(text, encoded.views[None if camera else "front"])  # type: ignore[arg-type]
        assert told is (front if camera else None)


def test_what_an_objective_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Views of one object have one timestep and are one group; more noise is noise of its own."""
    asked: list[Query] = []

    def objective(query: Query) -> Tensor:
        asked.append(query)
        assert query.draw is not None
        assert not torch.equal(query.draw(), query.noise)
        assert query.draw().shape == query.noise.shape
        return torch.zeros_like(query.latents)

    monkeypatch.setitem(OBJECTIVES, "sds", objective)
    denoiser = Gaussian({}, knows_cameras=True)
    denoiser.group, denoiser.clip = 2, 1.0
    guidance = distillation(denoiser, t_min=Schedule(0.2), t_max=Schedule(0.9))
    guidance.step(render(torch.rand(8, 4, 4, 3)), orbit(8, size=4), guidance.encode(Prompt("x")), Step(0, 10))
    (query,) = asked
    assert (query.group, query.low, query.clip) == (2, 200, 1.0)
    first, second = query.timestep.view(4, 2).unbind(1)
    assert torch.equal(first, second)
    assert len(set(first.tolist())) > 1
    guidance = distillation(denoiser, camera=False)
    guidance.step(render(torch.rand(8, 4, 4, 3)), orbit(8, size=4), guidance.encode(Prompt("x")), Step(0, 10))
    assert asked[1].group == 1


def test_other_options_leave_a_loaded_model_as_it_is() -> None:
    denoiser = Gaussian({})
    first = distillation(denoiser, at_once=2, latent_until=0.25)
    first.save_memory()
    other = first.with_config(SdsConfig(scale=7.5, at_once=8, latent_until=0.75, words=ViewWords(front="its face")))
    assert other is not None
    assert other.denoiser is denoiser
    assert (other.config.scale, other._most, other._latent_until) == (7.5, 8, 0.75)
    assert (first.config.scale, first._most, first._latent_until) == (1.0, 1, 0.25)
    other.encode(Prompt("a car"))
    assert denoiser.asked[1] == "its face"
    first.encode(Prompt("a car"))
    assert denoiser.asked[1] == "a car, front view"


@pytest.mark.parametrize(
    "change",
    [
        {"model": "another"}, {"dtype": "bfloat16"}, {"vae": "taesd"}, {"family": "sd21"}, {"checkpoint_vae": True}, {"size": 64},
        {"compile": True}, {"objective": "vsd"}, {"objective": "esd"},
    ],
)  # fmt: skip
def test_what_loads_or_learns_something_else_begins_anew(change: dict[str, object]) -> None:
    guidance = distillation(Gaussian({}))
    assert guidance.with_config(SdsConfig(**change)) is None  # type: ignore[arg-type]
    assert guidance.with_config(SdsConfig()) is not None
    guidance.config = SdsConfig(objective="vsd")
    assert guidance.with_config(SdsConfig()) is None


def test_a_pipeline_is_loaded_as_its_options_say(stable_diffusion: Path, tmp_path: Path) -> None:
    options = {"model": str(stable_diffusion), "dtype": "float32"}
    large = from_config(SdsConfig(size=32, vae=str(write_taesd(tmp_path / "tiny")), **options))  # type: ignore[arg-type]
    assert large.denoiser.encode_images(torch.rand(1, 8, 8, 3)).shape == (1, 4, 16, 16)
    assert type(large.denoiser.vae).__name__ == "AutoencoderTiny"  # type: ignore[attr-defined]
    saving = from_config(SdsConfig(checkpoint_vae=True, **options))  # type: ignore[arg-type]
    assert saving.denoiser.vae.is_gradient_checkpointing  # type: ignore[attr-defined]
    with pytest.raises(ModelError, match="cannot see pictures of 24 pixels"):
        from_config(SdsConfig(size=24, **options))  # type: ignore[arg-type]
    alone = write_single_file(stable_diffusion, tmp_path / "model.safetensors")
    whole = from_config(SdsConfig(model=str(alone), family=str(stable_diffusion), dtype="float32"))
    assert torch.equal(whole.denoiser.encode_text(["x"]), saving.denoiser.encode_text(["x"]))


@pytest.mark.parametrize(
    "options",
    [
        {"t_min": Schedule(-0.1)}, {"t_max": Schedule(0.5, 1.1)}, {"ism_interval": 0.0}, {"ism_stride": 0.0}, {"ism_stride": 1.1},
        {"latent_until": 1.1}, {"latent_until": -0.1}, {"student_rate": -1.0},
    ],
)  # fmt: skip
def test_options_out_of_range_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"`{next(iter(options))}`"):
        SdsConfig(**options)  # type: ignore[arg-type]


def test_noise_of_a_surface_needs_to_know_where_it_is() -> None:
    assert outputs(SdsConfig(noise="surface")) == {"opacity", "depth"}
    assert outputs(SdsConfig(noise="sphere")) == set()
