"""Whether an object has a second face where it should have none (the Janus problem), when it is known how it should look."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from df3d_prior import raster
from df3d_prior.objects import Object, together

CUTS = (0.5, 0.65, 0.8)  # shares of an object's length beyond which it counts as its front
STRETCH, TURN = 1.15, 7.0  # how other the proportions of an object may be, and how many degrees it may be turned
SEEN = 0.01  # squared difference of a pixel's colour from which on a second face is seen there
LEAST = 2e-4  # mean squared difference of the pictures from which on it is seen at all
TINT = (0.6, 1.6)  # by how much all colours of an object may be darker or lighter
SEVERAL = 0.32  # of `janus`: tells objects with a second head best from those without (benchmarks/janus_library.py)


def janus(ring: np.ndarray, known: list[np.ndarray]) -> float:
    """How much pictures from around (R, H, W, 4) show an object with several faces: between 0 and 1.

    Above SEVERAL it may have several, and what is off in other ways comes there too; above 0.5 it is nearer to several than to one.

    They are held against those that are `known` of it, with one face and with several, wherever these differ: e / (e + f) of the
    root mean squared errors e to the one and f to the other. Of the objects with several faces the one that speaks most for them
    counts, of the variations the one that speaks most against. Colours are brought to the object's mean first. 0 where nobody would
    see a second face.
    """
    colors = _tinted(ring, known[0][0])
    return min(max(_nearer(colors, single, many) for many in several) for single, *several in (some[..., :3] for some in known))


def rings(one: Object, draw: Callable[[list[Object]], np.ndarray]) -> list[np.ndarray]:
    """What `janus` knows of an object, which stands first: in each of its variations (1 + N, R, H, W, 4), with one face and with
    several. `draw` draws objects from around."""
    return [draw([other, *with_faces(other)]) for other in _alike(one)]


def with_faces(one: Object) -> list[Object]:
    """The object with two and three faces: its front copied around the vertical axis, beside its back or in place of it."""
    low, high = one.bounds()
    middle, found = 0.5 * (low + high), []
    for cut in CUTS:
        front = one.part(one.corners[..., 2].mean(1) > low[2] + cut * (high - low)[2])
        for count in (2, 3):
            for whole in (one, front) if cut == CUTS[0] else (one,):
                for k in range(1, count):
                    whole = together(whole, front.turned(360 * k / count, middle))
                found.append(whole.fitted())
    return found


def _alike(one: Object) -> list[Object]:
    """The object as it is, and longer along each axis, each of them straight and turned to both sides."""
    scales = [np.ones(3), *(np.where(np.arange(3) == axis, STRETCH, 1.0) for axis in range(3))]
    stretched = [one.moved(scale, np.zeros(3)) for scale in scales]
    return [other.turned(angle, np.zeros(3)).fitted() for other in stretched for angle in (0.0, -TURN, TURN)]


def _tinted(ring: np.ndarray, itself: np.ndarray) -> np.ndarray:
    """(R, H, W, 3) the colours of a ring as light as the object's, a mean over where both are seen."""
    both = np.minimum(itself[..., 3:], ring[..., 3:])
    mean, wanted = ((both * colors[..., :3]).sum((0, 1, 2)) for colors in (ring, itself))
    behind = raster.BACKGROUND * (1 - ring[..., 3:])
    return np.asarray((ring[..., :3] - behind) * (wanted / np.maximum(mean, 1e-6)).clip(*TINT) + behind)


def _nearer(ring: np.ndarray, single: np.ndarray, many: np.ndarray) -> float:
    """e / (e + f) where the object with one face and that with several differ; 0 where they hardly do."""
    apart = (many - single) ** 2
    if apart.mean() < LEAST:
        return 0.0
    there = apart.sum(-1, keepdims=True) > SEEN
    e, f = (float((there * (ring - other) ** 2).sum()) ** 0.5 for other in (single, many))
    return e / max(e + f, 1e-9)
