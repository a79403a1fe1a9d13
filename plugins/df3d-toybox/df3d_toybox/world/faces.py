"""Objects with more faces than they should have: what the Janus problem makes, for measures of it."""

from __future__ import annotations

from df3d_prior.objects import turn

from df3d_toybox.world.shapes import Parts, Solid


def with_faces(parts: Parts, count: int, *, whole: bool = False) -> Parts:
    """An object whose front is there `count` times, evenly around the vertical axis.

    What lies in front is copied, in place of all that lies behind it or, `whole`, beside it.
    """
    front = [solid for solid in parts if solid.center[2] > -0.02]
    copies = Parts(parts if whole else front)
    for k in range(1, count):
        turned = turn(360 * k / count)
        copies += [Solid(s.kind, turned @ s.center, turned @ s.axes, s.color, s.taper) for s in front]
    return copies


def many_faced(parts: Parts) -> list[Parts]:
    """An object with two and three faces, in place of its back and beside it."""
    return [with_faces(parts, count, whole=whole) for count in (2, 3) for whole in (False, True)]
