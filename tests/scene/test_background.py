from __future__ import annotations

import torch

from df3d.scene.background import Background, _harmonics
from df3d.scene.options import BackgroundConfig
from df3d.schedule import Step

DIRECTIONS = torch.nn.functional.normalize(torch.randn(10, 3, generator=torch.Generator().manual_seed(0)), dim=-1)


def test_a_fixed_one_is_the_same_everywhere_and_always() -> None:
    background = Background(BackgroundConfig(background_color=(0.1, 0.2, 0.3)))
    for step in (None, Step(0, 10)):
        torch.testing.assert_close(background(DIRECTIONS, step), torch.tensor([0.1, 0.2, 0.3]).expand(10, 3))
    assert background.parameter_groups() == []


def test_a_random_one_changes_from_step_to_step_and_repeats_itself() -> None:
    background = Background(BackgroundConfig(background="random"))
    first, again, other = (background(DIRECTIONS, Step(index, 10)) for index in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert len(set(first[0].tolist())) == 3  # any colour, and no grey
    assert torch.equal(background(DIRECTIONS, None), torch.ones(10, 3))


def test_a_learned_one_depends_on_the_direction_and_learns() -> None:
    background = Background(BackgroundConfig(background="learned"))
    colors = background(DIRECTIONS, None)
    assert colors.std(0).min() > 0
    colors.sum().backward()
    (group,) = background.parameter_groups()
    assert all(parameter.grad is not None for parameter in group["params"])


def test_its_harmonics_are_orthogonal_over_the_sphere() -> None:
    """Degree 0 to 2: what one of them says, no other does."""
    torch.manual_seed(0)
    terms = _harmonics(torch.nn.functional.normalize(torch.randn(400_000, 3), dim=-1))
    products = terms.T @ terms / len(terms)
    sizes = products.diagonal().sqrt()
    torch.testing.assert_close(products / sizes / sizes[:, None], torch.eye(9), atol=0.02, rtol=0)


def test_a_learned_one_stays_a_colour_and_learns_at_its_own_rate() -> None:
    background = Background(BackgroundConfig(background="learned"))
    (group,) = background.parameter_groups()
    assert group["lr"] == 1e-3
    with torch.no_grad():
        for parameter in background.parameters():
            parameter.mul_(100.0)
        colors = background(DIRECTIONS, None)
    assert colors.min() >= 0
    assert colors.max() <= 1
    assert "color" not in background.state_dict()  # an option, and no part of what is learnt


def test_a_random_one_draws_numbers_of_its_own() -> None:
    """Not those of the light or the cameras: it would then tell where they are."""
    step = Step(3, 10, "coarse", 1)
    color = Background(BackgroundConfig(background="random"))(DIRECTIONS, step)
    assert torch.equal(color, color[:1].expand_as(color))
    assert ((color >= 0) & (color <= 1)).all()
    for purpose in ("light", "cameras"):
        assert not torch.equal(torch.rand(3, generator=step.generator(purpose)), color[0])


def test_without_options_it_is_white() -> None:
    assert BackgroundConfig() == BackgroundConfig(background="fixed", background_color=(1.0, 1.0, 1.0))
