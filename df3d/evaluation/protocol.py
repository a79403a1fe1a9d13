"""How assets are shown to scorers, the same for all (docs/reference/protocol.md). A change of any number is another protocol."""

from __future__ import annotations

PROTOCOL = "df3d-1"
VIEWS, SIZE, ELEVATION, DISTANCE, FOV_Y = 12, 256, 15.0, 3.0, 35.0
AMBIENT, BACKGROUND = 0.5, 1.0


def protocol(views: int) -> str:
    """The name of what was measured: the protocol's version, and how it was departed from."""
    return PROTOCOL if views == VIEWS else f"{PROTOCOL}/views={views}"
