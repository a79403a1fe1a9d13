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
