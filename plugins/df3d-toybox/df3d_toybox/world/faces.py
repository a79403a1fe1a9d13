"""Objects with more faces than they should have: what the Janus problem makes, for measures of it."""

from __future__ import annotations

import numpy as np

from df3d_toybox.world.shapes import Parts, Solid


def with_faces(parts: Parts, count: int, *, whole: bool = False) -> Parts:
    """An object whose front is there `count` times, evenly around the vertical axis.

    What lies in front is copied, in place of all that lies behind it or, `whole`, beside it.
    """
    front = [solid for solid in parts if solid.center[2] > -0.02]
    copies = Parts(parts if whole else front)
    for k in range(1, count):
        angle = 2 * np.pi * k / count
        turn = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
        copies += [Solid(s.kind, turn @ s.center, turn @ s.axes, s.color, s.taper) for s in front]
    return copies


def many_faced(parts: Parts) -> list[Parts]:
    """An object with two and three faces, in place of its back and beside it."""
    return [with_faces(parts, count, whole=whole) for count in (2, 3) for whole in (False, True)]
