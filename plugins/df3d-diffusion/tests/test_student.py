"""Variational score distillation: the adapter learns, alone, and the teacher stays as it was."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from df3d_diffusion.config import SdsConfig
from df3d_diffusion.loading import load
from df3d_diffusion.sds import Distillation, from_config

from df3d.prompt import Prompt
from df3d.scene.cameras import orbit
from df3d.schedule import Schedule, Step
from df3d.types import RenderOutput


def vsd(stable_diffusion: Path, **options: object) -> Distillation:
    return from_config(SdsConfig(model=str(stable_diffusion), objective="vsd", dtype="float32", scale=1.0, **options))  # type: ignore[arg-type]


def test_a_fresh_student_knows_what_the_teacher_knows(stable_diffusion: Path) -> None:
    """At scale 1 there is no gradient on the images, rounding apart; only the adapter is told to change."""
    guidance = vsd(stable_diffusion)
    encoded = guidance.encode(Prompt("a red car"))
    images = torch.rand(2, 16, 16, 3, requires_grad=True)
    guidance.step(RenderOutput(images, images[..., :1]), orbit(2, size=16), encoded, Step(0, 10)).loss.backward()
    assert images.grad is not None
    assert float(images.grad.abs().max()) < 1e-6
    learning = {id(p) for group in guidance.parameter_groups() for p in group["params"]}
    named = dict(guidance.denoiser.unet.named_parameters())
    assert all((p.grad is not None) == (id(p) in learning) for p in named.values())
    assert 0 < sum(p.numel() for p in named.values() if id(p) in learning) < 0.2 * sum(p.numel() for p in named.values())


def test_the_student_learns_the_renders_and_the_teacher_does_not(stable_diffusion: Path) -> None:
    torch.manual_seed(0)
    guidance = vsd(stable_diffusion, student_rate=3e-3)
    student = guidance._student
    assert student is not None
    encoded = guidance.encode(Prompt("a red car"))
    latents = torch.full((4, 4, 8, 8), 2.0)
    text, t = encoded.views[None].expand(4, -1, -1), torch.full((4,), 500)
    before = guidance.denoiser.predict(latents, t, text, None)

    def loss() -> float:
        with torch.no_grad():
            return float(student.loss(latents, text, None, torch.Generator().manual_seed(99)))

    first = loss()
    optimizer = torch.optim.Adam(guidance.parameter_groups())
    for index in range(40):
        optimizer.zero_grad()
        student.loss(latents, text, None, torch.Generator().manual_seed(index)).backward()
        optimizer.step()
    assert loss() < 0.97 * first
    assert torch.equal(guidance.denoiser.predict(latents, t, text, None), before)
    assert not torch.allclose(student.predict(latents, t, text, None), before)


def test_the_student_is_saved_and_put_back(stable_diffusion: Path) -> None:
    one, two = vsd(stable_diffusion), vsd(stable_diffusion)
    with torch.no_grad():
        for parameter in one.parameter_groups()[0]["params"]:
            parameter.copy_(torch.randn_like(parameter))
    two.load_state_dict(one.state_dict())
    images = RenderOutput(torch.rand(1, 16, 16, 3), torch.ones(1, 16, 16, 1))
    cameras, step = orbit(1, size=16), Step(3, 10)
    losses = [
        float(g.step(images, cameras, g.encode(Prompt("a red car")), step).loss.detach()) for g in (one, two, vsd(stable_diffusion))
    ]
    assert losses[0] == losses[1]
    assert losses[0] != losses[2]


@pytest.mark.parametrize("objective", ["csd", "ism", "vsd", "esd", "asd", "sdi", "reconstruction"])
def test_every_objective_guides_a_pipeline(stable_diffusion: Path, objective: str) -> None:
    options = {"t_min": Schedule(0.3), "t_max": Schedule(0.5), "view_texts": "perp-neg", "clip_norm": Schedule(0.1)}
    guidance = from_config(SdsConfig(model=str(stable_diffusion), objective=objective, **options))  # type: ignore[arg-type]
    images = torch.rand(2, 16, 16, 3, requires_grad=True)
    render = RenderOutput(images, images[..., :1])
    guided = guidance.step(render, orbit(2, size=16), guidance.encode(Prompt("a red car")), Step(0, 10))
    guided.loss.backward()
    assert images.grad is not None
    assert torch.isfinite(images.grad).all()
    assert images.grad.abs().sum() > 0


def test_the_rank_and_the_rate_are_those_of_the_options(stable_diffusion: Path) -> None:
    (group,) = vsd(stable_diffusion, student_rank=3, student_rate=0.25).parameter_groups()
    assert group["lr"] == 0.25
    assert all(min(weight.shape) == 3 for weight in group["params"])


def test_a_student_s_loss_is_what_it_does_not_see(stable_diffusion: Path) -> None:
    """By hand, for a fresh one, which sees what the teacher sees: a sum over the latents, a mean over the views."""
    guidance = vsd(stable_diffusion)
    student, denoiser = guidance._student, guidance.denoiser
    assert student is not None
    latents, draws = torch.randn(3, 4, 8, 8), torch.Generator().manual_seed(5)
    text = guidance.encode(Prompt("a red car")).views[None].expand(3, -1, -1)
    timestep = torch.randint(0, 1000, (3,), generator=draws)
    noise = torch.randn(latents.shape, generator=draws)
    alphabar = denoiser.alphas_cumprod[timestep][:, None, None, None]
    noisy = alphabar.sqrt() * latents + (1 - alphabar).sqrt() * noise
    with torch.no_grad():
        expected = (denoiser.predict(noisy, timestep, text, None) - noise).square().sum() / 3
        found = student.loss(latents, text, None, torch.Generator().manual_seed(5))
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=1e-4)


def test_a_student_adds_its_matrices_to_the_attention(stable_diffusion: Path) -> None:
    """With B and A at random it is the network whose weights are W + B A, with no other factor."""
    guidance, plain = vsd(stable_diffusion), load(str(stable_diffusion), device="cpu", dtype="float32")
    student = guidance._student
    assert student is not None
    weights = student.state_dict()
    with torch.no_grad():
        for weight in weights.values():
            weight.copy_(0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(len(weight))))
        layers = dict(plain.unet.named_modules())
        for name in weights:
            if ".lora_A." in name:
                place = name.split(".lora_A.")[0]
                layers[place].weight += weights[name.replace("lora_A", "lora_B")] @ weights[name]
        noisy, t, text = torch.randn(1, 4, 8, 8), torch.tensor([300]), torch.randn(1, 77, 16)
        told = student.predict(noisy, t, text, None)
        torch.testing.assert_close(told, plain.predict(noisy, t, text, None), atol=1e-4, rtol=1e-4)
        assert not torch.allclose(told, guidance.denoiser.predict(noisy, t, text, None), atol=1e-3)
