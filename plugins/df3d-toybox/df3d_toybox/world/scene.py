"""From a caption to solids inside the unit ball: proportions, what stands on what, and random captions."""

from __future__ import annotations

import numpy as np
from df3d_prior.colors import COLORS

from df3d_toybox.captions import COLOR_NAMES, NOUN_NAMES, Caption, Thing
from df3d_toybox.world.nouns import NOUNS
from df3d_toybox.world.shapes import Parts

RADIUS = 0.85  # every object is centred at the origin and touches this ball
SUPPORTS = ("table", "surfboard", "chair", "sofa", "car", "truck", "boat", "horse", "elephant")
WEARERS = tuple("dog cat horse pig rabbit elephant bird duck penguin peacock fish snowman robot mushroom".split())


def build(caption: Caption, rng: np.random.Generator | None = None) -> Parts:
    """The caption's object, with proportions drawn from `rng` or, without one, the middle of every range."""
    parts = _thing(caption.subject, rng)
    if caption.other is not None:
        other = _thing(caption.other, rng)
        parts = _wear(parts, other) if caption.relation == "wearing" else _stand(parts, other)
    return _fit(parts)


def sample_caption(rng: np.random.Generator) -> Caption:
    """A random caption as the model sees them in training: half of them single things."""
    kind = rng.random()
    if kind < 0.5:
        return Caption(_sample_thing(rng, NOUN_NAMES))
    if kind < 0.9:
        supports = SUPPORTS if rng.random() < 0.85 else NOUN_NAMES
        return Caption(_sample_thing(rng, NOUN_NAMES), "on", _sample_thing(rng, supports))
    return Caption(_sample_thing(rng, WEARERS), "wearing", Thing("hat", _sample_color(rng)))


def _sample_thing(rng: np.random.Generator, nouns: tuple[str, ...]) -> Thing:
    return Thing(str(rng.choice(nouns)), _sample_color(rng))


def _sample_color(rng: np.random.Generator) -> str | None:
    return None if rng.random() < 0.35 else str(rng.choice(COLOR_NAMES))


def _thing(thing: Thing, rng: np.random.Generator | None) -> Parts:
    kind = NOUNS[thing.noun]
    vary = (lambda low, high: 0.5 * (low + high)) if rng is None else rng.uniform
    return kind.build(COLORS[thing.color or kind.natural], vary)


def _fit(parts: Parts) -> Parts:
    low, high = parts.bounds()
    center = 0.5 * (low + high)
    reach = max(np.linalg.norm(solid.corners() - center, axis=1).max() for solid in parts)
    return parts.moved(RADIUS / reach, -center * RADIUS / reach)


def _stand(rider: Parts, base: Parts) -> Parts:
    """Put `rider` on the seat of `base` (the top of its box, where it has none), scaled to it."""
    low, high = base.bounds()
    x, y, z, half_width, half_length = base.seat or (
        *(0.5 * (low + high) * (1, 0, 1) + (0, high[1], 0)),
        *(0.4 * (high - low)[[0, 2]]),
    )
    rider_low, rider_high = rider.bounds()
    size = rider_high - rider_low
    scale = 2.4 * np.sqrt(half_width * half_length) / max(size[0], size[2], 0.6 * size[1])
    foot = 0.5 * (rider_low + rider_high)
    foot[1] = rider_low[1]
    return Parts(base + rider.moved(scale, np.array((x, y - 0.02, z)) - scale * foot))


def _wear(wearer: Parts, hat: Parts) -> Parts:
    """Put `hat` on the head of `wearer` (the top of its box, where it has none)."""
    low, high = wearer.bounds()
    middle = 0.5 * (low + high)
    x, y, z, radius = wearer.head or (middle[0], high[1], middle[2], 0.3 * (high - low)[0])
    low, high = hat.bounds()
    scale = 1.55 * radius / (0.5 * max(high[0] - low[0], high[2] - low[2]))
    foot = 0.5 * (low + high)
    foot[1] = low[1]
    return Parts(wearer + hat.moved(scale, np.array((x, y - 0.12 * radius, z)) - scale * foot))
