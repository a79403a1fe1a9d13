"""How each noun of the world is built from solids. +Y is up, the front looks along +Z; sizes are free.

A builder takes the main colour and `vary(low, high)`, which draws one proportion, and returns `Parts`.
What is not the main colour (eyes, wheels, snouts) is fixed, and front and back always differ, so that an object
with two faces can be seen and counted.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from math import cos, radians, sin

from df3d_prior.colors import COLORS

from df3d_toybox.world.shapes import Parts

Color = tuple[float, float, float]
Vary = Callable[[float, float], float]

DARK, EYE, CREAM, GLASS = (0.13, 0.12, 0.12), (0.03, 0.03, 0.03), (0.96, 0.88, 0.74), (0.60, 0.85, 0.95)
WHITE, RED, ORANGE, YELLOW = COLORS["white"], COLORS["red"], COLORS["orange"], COLORS["yellow"]
WOOD, LEAF, ROSE = (0.50, 0.31, 0.15), (0.18, 0.55, 0.20), (0.98, 0.62, 0.66)


@dataclass(frozen=True)
class Noun:
    """One kind of thing: its builder, the colour it has when the caption names none, and whether it has a front."""

    name: str
    build: Callable[[Color, Vary], Parts]
    natural: str
    front: bool


NOUNS: dict[str, Noun] = {}


def noun(natural: str, *, front: bool = True):
    def register(build: Callable[[Color, Vary], Parts]):
        NOUNS[build.__name__] = Noun(build.__name__, build, natural, front)
        return build

    return register


def _darker(color: Color, by: float = 0.55) -> Color:
    return tuple(by * channel for channel in color)


def _eyes(parts: Parts, at, radius: float) -> None:
    """Two white eyes with black pupils that look along +Z."""
    parts.pair(parts.ball, at, radius, WHITE)
    parts.pair(parts.ball, (at[0], at[1], at[2] + 0.55 * radius), 0.62 * radius, EYE)


def _legs(parts: Parts, x: float, z: float, top: float, radius: float, color: Color, foot: Color | None = None) -> None:
    for end in (z, -z):
        parts.pair(parts.block, (x, 0.5 * top, end), (radius, 0.5 * top, radius), color)
        if foot:
            parts.pair(parts.block, (x, 0.12 * top, end), (1.15 * radius, 0.12 * top, 1.15 * radius), foot)


# ------------------------------------------------------------------------------------------------ animals
@noun("brown")
def dog(color: Color, vary: Vary) -> Parts:
    p, length, leg = Parts(), vary(0.62, 0.82), vary(0.45, 0.65)
    y = leg + 0.28
    _legs(p, 0.2, length - 0.2, y, 0.13, color, _darker(color))
    p.ball((0, y, 0), (0.36, 0.36, length), color)
    head = (0, y + 0.5, length)
    p.ball(head, 0.4, color)
    p.ball((0, head[1] - 0.12, head[2] + 0.38), (0.21, 0.18, 0.26), CREAM)
    p.ball((0, head[1] - 0.04, head[2] + 0.62), 0.1, EYE)
    p.pair(p.ball, (0.38, head[1] - 0.02, head[2] - 0.02), (0.1, 0.34, 0.2), _darker(color))
    _eyes(p, (0.17, head[1] + 0.14, head[2] + 0.31), 0.11)
    p.tube((0, y + 0.15, -length + 0.1), (0, y + vary(0.55, 0.75), -length - 0.25), 0.11, _darker(color), 0.06)
    p.head = (0, head[1] + 0.34, head[2], 0.36)
    return p


@noun("orange")
def cat(color: Color, vary: Vary) -> Parts:
    p, length, leg = Parts(), vary(0.55, 0.72), vary(0.35, 0.5)
    y = leg + 0.24
    _legs(p, 0.18, length - 0.18, y, 0.1, color, WHITE)
    p.ball((0, y, 0), (0.3, 0.31, length), color)
    p.ball((0, y - 0.06, length - 0.18), (0.22, 0.24, 0.22), WHITE)
    head = (0, y + 0.42, length)
    p.ball(head, (0.4, 0.34, 0.34), color)
    p.pair(p.tube, (0.24, head[1] + 0.18, head[2]), (0.32, head[1] + 0.58, head[2]), 0.17, color, 0.0)
    p.ball((0, head[1] - 0.12, head[2] + 0.26), (0.18, 0.12, 0.12), WHITE)
    p.ball((0, head[1] - 0.04, head[2] + 0.37), 0.06, ROSE)
    p.pair(p.ball, (0.17, head[1] + 0.08, head[2] + 0.26), 0.11, (0.55, 0.85, 0.25))
    p.pair(p.ball, (0.17, head[1] + 0.08, head[2] + 0.34), (0.04, 0.09, 0.05), EYE)
    tip = y + vary(0.6, 0.95)
    p.tube((0, y + 0.1, -length + 0.05), (0, y + 0.3, -length - 0.35), 0.08, color)
    p.tube((0, y + 0.25, -length - 0.33), (0, tip, -length - 0.3), 0.08, _darker(color), 0.06)
    p.head = (0, head[1] + 0.28, head[2], 0.34)
    return p


@noun("brown")
def horse(color: Color, vary: Vary) -> Parts:
    p, length, leg = Parts(), vary(0.62, 0.8), vary(0.8, 1.0)
    y, mane = leg + 0.2, _darker(color, 0.35)
    _legs(p, 0.18, length - 0.2, y, 0.1, color, DARK)
    p.ball((0, y, 0), (0.31, 0.34, length), color)
    top = (0, y + 0.8, length + 0.2)
    p.tube((0, y + 0.05, length - 0.25), top, 0.26, color, 0.17)
    p.ball((0, top[1] + 0.02, top[2] + 0.2), (0.17, 0.18, 0.42), color, turn=(25, 0, 0))
    p.ball((0, top[1] - 0.13, top[2] + 0.5), (0.14, 0.13, 0.14), CREAM)
    p.pair(p.tube, (0.1, top[1] + 0.1, top[2]), (0.13, top[1] + 0.38, top[2]), 0.07, color, 0.0)
    p.pair(p.ball, (0.15, top[1] + 0.09, top[2] + 0.24), 0.07, EYE)
    p.tube((0, y + 0.3, length - 0.42), (0, top[1] + 0.15, top[2] - 0.16), 0.13, mane)
    p.tube((0, y + 0.15, -length + 0.05), (0, y - 0.6, -length - 0.22), 0.12, mane, 0.07)
    p.head = (0, top[1] + 0.16, top[2] + 0.12, 0.22)
    p.seat = (0, y + 0.33, -0.1, 0.3, 0.45)
    return p


@noun("pink")
def pig(color: Color, vary: Vary) -> Parts:
    p, length, fat = Parts(), vary(0.62, 0.78), vary(0.42, 0.52)
    y = fat + 0.22
    _legs(p, 0.25, length - 0.25, y, 0.14, color, _darker(color))
    p.ball((0, y, 0), (fat, fat, length), color)
    head = (0, y + 0.16, length)
    p.ball(head, 0.38, color)
    p.tube((0, head[1] - 0.06, head[2] + 0.25), (0, head[1] - 0.06, head[2] + 0.52), 0.19, ROSE)
    p.pair(p.ball, (0.07, head[1] - 0.06, head[2] + 0.52), 0.045, _darker(ROSE, 0.4))
    _eyes(p, (0.2, head[1] + 0.16, head[2] + 0.27), 0.1)
    p.pair(p.tube, (0.22, head[1] + 0.26, head[2]), (0.36, head[1] + 0.48, head[2] + 0.1), 0.15, _darker(color, 0.75), 0.0)
    p.tube((0, y + 0.15, -length + 0.05), (0.08, y + 0.34, -length - 0.18), 0.07, _darker(color, 0.75))
    p.head = (0, head[1] + 0.32, head[2], 0.33)
    return p


@noun("white")
def rabbit(color: Color, vary: Vary) -> Parts:
    p, tall = Parts(), vary(0.48, 0.6)
    p.ball((0, tall, 0), (0.42, tall, 0.44), color)
    p.ball((0, tall - 0.04, 0.26), (0.27, 0.75 * tall, 0.22), CREAM)
    head, ear = (0, 2 * tall + 0.14, 0.1), vary(0.34, 0.48)
    p.ball(head, 0.34, color)
    p.pair(p.ball, (0.15, head[1] + 0.3 + 0.6 * ear, 0.06), (0.1, ear, 0.07), color)
    p.pair(p.ball, (0.15, head[1] + 0.3 + 0.6 * ear, 0.11), (0.06, 0.75 * ear, 0.05), ROSE)
    p.ball((0, head[1] - 0.06, head[2] + 0.31), (0.13, 0.09, 0.08), CREAM)
    p.ball((0, head[1] - 0.02, head[2] + 0.37), 0.055, ROSE)
    p.pair(p.ball, (0.15, head[1] + 0.1, head[2] + 0.27), 0.08, EYE)
    p.pair(p.ball, (0.2, 0.08, 0.36), (0.14, 0.1, 0.26), color)
    p.pair(p.ball, (0.3, tall + 0.1, 0.28), (0.1, 0.2, 0.1), color)
    p.ball((0, 0.3, -0.46), 0.18, WHITE if color != WHITE else COLORS["grey"])
    p.head = (0, head[1] + 0.26, head[2], 0.3)
    return p


@noun("grey")
def elephant(color: Color, vary: Vary) -> Parts:
    p, length, big = Parts(), vary(0.68, 0.82), vary(0.5, 0.58)
    y = big + 0.42
    _legs(p, 0.3, length - 0.27, y, 0.19, color, _darker(color, 0.7))
    p.ball((0, y, 0), (big, big, length), color)
    head = (0, y + 0.3, length + 0.1)
    p.ball(head, 0.4, color)
    p.pair(p.ball, (0.56, head[1] + 0.02, head[2] - 0.15), (0.34, 0.42, 0.08), _darker(color, 0.75), turn=(0, 20, 0))
    p.tube((0, head[1] - 0.05, head[2] + 0.3), (0, head[1] - 0.5, head[2] + 0.5), 0.16, color, 0.13)
    p.tube((0, head[1] - 0.45, head[2] + 0.49), (0, head[1] - vary(0.85, 1.0), head[2] + 0.5), 0.13, color, 0.09)
    p.pair(p.tube, (0.2, head[1] - 0.2, head[2] + 0.28), (0.24, head[1] - 0.38, head[2] + 0.66), 0.07, WHITE, 0.02)
    _eyes(p, (0.22, head[1] + 0.12, head[2] + 0.31), 0.09)
    p.tube((0, y + 0.1, -length + 0.03), (0, y - 0.4, -length - 0.12), 0.05, _darker(color), 0.05)
    p.head = (0, head[1] + 0.34, head[2], 0.36)
    p.seat = (0, y + big, -0.15, 0.4, 0.5)
    return p


@noun("blue")
def bird(color: Color, vary: Vary) -> Parts:
    p, length = Parts(), vary(0.5, 0.64)
    p.ball((0, 0.66, 0), (0.38, 0.4, length), color, turn=(-20, 0, 0))
    p.ball((0, 0.6, 0.2), (0.3, 0.32, 0.36), CREAM)
    head = (0, 1.16, length - 0.12)
    p.ball(head, 0.32, color)
    p.tube((0, head[1] - 0.04, head[2] + 0.24), (0, head[1] - 0.08, head[2] + 0.62), 0.14, ORANGE, 0.0)
    _eyes(p, (0.16, head[1] + 0.08, head[2] + 0.23), 0.1)
    p.pair(p.ball, (0.4, 0.72, -0.08), (0.08, 0.28, 0.46), _darker(color), turn=(-20, 0, 0))
    p.block((0, 0.48 - 0.1, -length - 0.2), (0.2, 0.05, vary(0.28, 0.4)), _darker(color), turn=(-25, 0, 0))
    p.pair(p.tube, (0.14, 0, 0.05), (0.14, 0.4, 0.05), 0.06, ORANGE)
    p.pair(p.block, (0.14, 0.03, 0.12), (0.1, 0.04, 0.17), ORANGE)
    p.head = (0, head[1] + 0.27, head[2], 0.29)
    return p


@noun("yellow")
def duck(color: Color, vary: Vary) -> Parts:
    p, length = Parts(), vary(0.62, 0.78)
    p.ball((0, 0.42, 0), (0.46, 0.42, length), color)
    p.tube((0, 0.55, -length + 0.25), (0, 0.95, -length - 0.12), 0.24, color, 0.02)
    p.pair(p.ball, (0.42, 0.52, -0.08), (0.1, 0.24, 0.42), _darker(color, 0.75))
    neck = vary(0.95, 1.15)
    p.tube((0, 0.55, length - 0.3), (0, neck, length - 0.2), 0.2, color)
    head = (0, neck + 0.16, length - 0.16)
    p.ball(head, 0.33, color)
    p.ball((0, head[1] - 0.08, head[2] + 0.4), (0.2, 0.07, 0.26), ORANGE)
    _eyes(p, (0.17, head[1] + 0.1, head[2] + 0.24), 0.1)
    p.head = (0, head[1] + 0.28, head[2], 0.3)
    return p


@noun("black")
def penguin(color: Color, vary: Vary) -> Parts:
    p, tall, wide = Parts(), vary(0.62, 0.78), vary(0.4, 0.48)
    p.ball((0, tall + 0.05, 0), (wide, tall, 0.4), color)
    p.ball((0, tall, 0.14), (0.78 * wide, 0.86 * tall, 0.32), WHITE)
    head = (0, 2 * tall + 0.08, 0.04)
    p.ball(head, 0.33, color)
    p.pair(p.ball, (0.13, head[1] + 0.02, head[2] + 0.2), (0.14, 0.17, 0.13), WHITE)
    p.pair(p.ball, (0.13, head[1] + 0.04, head[2] + 0.31), 0.065, EYE)
    p.tube((0, head[1] - 0.08, head[2] + 0.26), (0, head[1] - 0.12, head[2] + 0.56), 0.1, ORANGE, 0.0)
    p.pair(p.ball, (wide + 0.04, tall + 0.12, 0), (0.09, 0.5, 0.2), color, turn=(0, 0, 0))
    p.pair(p.ball, (0.19, 0.05, 0.2), (0.17, 0.08, 0.3), ORANGE)
    p.head = (0, head[1] + 0.28, head[2], 0.3)
    return p


@noun("blue")
def peacock(color: Color, vary: Vary) -> Parts:
    p, fan = Parts(), vary(0.86, 1.02)
    green, gold = (0.10, 0.50, 0.30), (0.90, 0.75, 0.15)
    p.ball((0, 0.62, 0.12), (0.3, 0.32, 0.5), color, turn=(-20, 0, 0))
    p.tube((0, 0.7, 0.4), (0, 1.15, 0.58), 0.18, color, 0.14)
    head = (0, 1.28, 0.64)
    p.ball(head, 0.27, color)
    p.tube((0, head[1] - 0.06, head[2] + 0.2), (0, head[1] - 0.1, head[2] + 0.54), 0.11, ORANGE, 0.0)
    _eyes(p, (0.13, head[1] + 0.06, head[2] + 0.2), 0.095)
    for x in (-0.1, 0.0, 0.1):
        p.tube((0.4 * x, head[1] + 0.2, head[2]), (x, head[1] + 0.46, head[2] - 0.03), 0.035, color)
    p.ball((0, 0.78, -0.3), (fan, fan, 0.07), green, turn=(-10, 0, 0))
    p.ball((0, 0.76, -0.4), (0.85 * fan, 0.85 * fan, 0.07), _darker(WOOD, 0.8), turn=(-10, 0, 0))
    for angle in (-66, -33, 0, 33, 66):
        a = radians(angle)
        x, y = 0.76 * fan * sin(a), 0.78 + 0.76 * fan * cos(a)
        z = -0.24 - 0.18 * 0.76 * fan * cos(a)
        p.ball((x, y, z), (0.17, 0.17, 0.06), gold, turn=(-10, 0, 0))
        p.ball((x, y, z + 0.05), (0.09, 0.09, 0.05), color, turn=(-10, 0, 0))
    p.pair(p.tube, (0.12, 0, 0.15), (0.12, 0.4, 0.12), 0.05, ORANGE)
    p.head = (0, head[1] + 0.23, head[2], 0.25)
    return p


@noun("orange")
def fish(color: Color, vary: Vary) -> Parts:
    p, length, tall = Parts(), vary(0.75, 0.95), vary(0.42, 0.54)
    p.ball((0, 0.6, 0), (0.27, tall, length), color)
    p.ball((0, 0.6, 0.1), (0.285, 0.9 * tall, 0.12), WHITE)
    p.pair(p.ball, (0.17, 0.7, 0.68 * length), 0.12, WHITE)
    p.pair(p.ball, (0.24, 0.71, 0.70 * length), 0.075, EYE)
    p.ball((0, 0.52, length - 0.02), (0.11, 0.07, 0.09), _darker(RED))
    p.block((0, 0.6, -length - 0.2), (0.06, 0.32, 0.45), _darker(color, 0.7), taper=(1, 0.2), turn=(90, 0, 0))
    p.block((0, 0.6 + tall + 0.05, -0.1), (0.05, 0.24, 0.36), _darker(color, 0.7), taper=(1, 0.4))
    p.pair(p.ball, (0.32, 0.48, 0.22), (0.18, 0.05, 0.17), _darker(color, 0.7), turn=(0, 0, 0))
    p.head = (0, 0.6 + 0.8 * tall, 0.5 * length, 0.28)
    return p


# ------------------------------------------------------------------------------------------------ vehicles
def _wheels(parts: Parts, x: float, z: float, radius: float, back: float | None = None) -> None:
    for end in (z, -z if back is None else back):
        for side in (1.0, -1.0):
            parts.tube((side * (x - 0.1), radius, end), (side * (x + 0.08), radius, end), radius, DARK)
            parts.tube((side * (x + 0.05), radius, end), (side * (x + 0.1), radius, end), 0.5 * radius, (0.7, 0.7, 0.72))


@noun("red")
def car(color: Color, vary: Vary) -> Parts:
    p, length, tall = Parts(), vary(0.95, 1.15), vary(0.3, 0.4)
    p.block((0, 0.45, 0), (0.5, 0.24, length), color)
    p.block((0, 0.68 + tall, -0.15), (0.45, tall, 0.62), GLASS, taper=(0.8, 0.62))
    p.block((0, 0.69 + 2 * tall, -0.15), (0.37, 0.05, 0.4), color)
    p.pair(p.block, (0.41, 0.68 + tall, -0.15), (0.04, tall, 0.06), color, turn=(0, 0, 9))
    p.pair(p.ball, (0.33, 0.5, length), (0.13, 0.11, 0.06), YELLOW)
    p.block((0, 0.45, length), (0.16, 0.09, 0.03), DARK)
    p.pair(p.block, (0.34, 0.52, -length), (0.12, 0.08, 0.03), _darker(RED, 0.8))
    p.block((0, 0.28, length), (0.5, 0.06, 0.06), (0.7, 0.7, 0.72))
    _wheels(p, 0.47, 0.62 * length, 0.26)
    p.seat = (0, 0.74 + 2 * tall, -0.15, 0.36, 0.42)
    return p


@noun("blue")
def truck(color: Color, vary: Vary) -> Parts:
    p, length, tall = Parts(), vary(0.72, 0.92), vary(0.46, 0.58)
    p.block((0, 0.36, 0), (0.4, 0.1, length + 0.35), DARK)
    p.block((0, 0.84, length + 0.05), (0.46, 0.46, 0.34), color)
    p.block((0, 1.0, length + 0.37), (0.38, 0.2, 0.04), GLASS)
    p.pair(p.block, (0.45, 1.0, length + 0.08), (0.03, 0.18, 0.2), GLASS)
    p.pair(p.ball, (0.32, 0.56, length + 0.39), (0.1, 0.1, 0.05), YELLOW)
    p.block((0, 0.46 + tall, -0.4), (0.52, tall, length), (0.88, 0.88, 0.86))
    p.pair(p.block, (0.34, 0.36, -length - 0.38), (0.1, 0.08, 0.04), RED)
    _wheels(p, 0.46, length, 0.27, back=-0.65 * length)
    p.seat = (0, 0.46 + 2 * tall, -0.4, 0.5, length)
    return p


@noun("white")
def airplane(color: Color, vary: Vary) -> Parts:
    p, length, span = Parts(), vary(1.0, 1.2), vary(1.0, 1.25)
    p.ball((0, 0.5, 0), (0.24, 0.24, length), color)
    p.ball((0, 0.5, length - 0.16), (0.13, 0.13, 0.18), DARK)
    p.ball((0, 0.64, 0.55 * length), (0.16, 0.14, 0.24), GLASS)
    p.block((0, 0.46, 0.08), (span, 0.05, 0.25), color)
    p.pair(p.block, (span - 0.1, 0.46, 0.08), (0.12, 0.06, 0.26), RED)
    p.pair(p.tube, (0.5 * span, 0.34, -0.1), (0.5 * span, 0.34, 0.34), 0.12, (0.55, 0.56, 0.6))
    p.block((0, 0.56, -length + 0.14), (0.45, 0.04, 0.15), color)
    p.block((0, 0.86, -length + 0.14), (0.05, 0.32, 0.2), RED, taper=(1, 0.6))
    return p


@noun("brown")
def boat(color: Color, vary: Vary) -> Parts:
    p, length = Parts(), vary(0.95, 1.15)
    p.block((0, 0.28, -0.2), (0.46, 0.26, length - 0.2), color, turn=(180, 0, 0), taper=(0.7, 0.9))
    p.tube((0, 0.28, length - 0.42), (0, 0.4, length + 0.28), 0.36, color, 0.0)
    p.block((0, 0.55, -0.2), (0.49, 0.05, length - 0.18), CREAM)
    p.block((0, 0.8, -0.5), (0.3, 0.24, 0.32), WHITE)
    p.block((0, 0.86, -0.17), (0.24, 0.1, 0.03), GLASS)
    mast = vary(1.7, 2.0)
    p.tube((0, 0.5, 0.12), (0, mast, 0.12), 0.06, WOOD)
    p.block((0, 0.5 * (mast + 0.85), 0.45), (0.04, 0.5 * (mast - 0.85), 0.34), WHITE, taper=(1, 0.15), turn=(0, 0, 0))
    p.block((0, mast + 0.05, -0.05), (0.03, 0.1, 0.17), RED)
    p.seat = (0, 1.04, -0.5, 0.3, 0.32)
    return p


@noun("white", front=False)
def rocket(color: Color, vary: Vary) -> Parts:
    p, tall, wide = Parts(), vary(1.4, 1.7), vary(0.32, 0.4)
    p.tube((0, 0.3, 0), (0, tall, 0), wide, color)
    p.tube((0, tall, 0), (0, tall + 0.65, 0), wide, RED, 0.0)
    p.tube((0, 0.12, 0), (0, 0.3, 0), 0.75 * wide, DARK, wide)
    p.tube((0, -0.2, 0), (0, 0.12, 0), 0.1, YELLOW, 0.6 * wide)
    for x, z, turn in ((1, 0, 0), (-1, 0, 180), (0, 1, -90), (0, -1, 90)):
        p.block((x * (wide + 0.12), 0.42, z * (wide + 0.12)), (0.22, 0.34, 0.05), RED, taper=(0.25, 1), turn=(0, turn, 0))
        p.ball((x * wide, 0.72 * tall, z * wide), (0.05 if x else 0.15, 0.15, 0.05 if z else 0.15), (0.15, 0.45, 0.75))
    return p


# ------------------------------------------------------------------------------------------------ household
@noun("brown")
def chair(color: Color, vary: Vary) -> Parts:
    p, seat, back = Parts(), vary(0.7, 0.9), vary(0.75, 0.95)
    for z in (0.4, -0.4):
        p.pair(p.block, (0.4, 0.5 * seat, z), (0.09, 0.5 * seat, 0.09), _darker(color, 0.6))
    p.block((0, seat, 0), (0.52, 0.1, 0.52), color)
    p.block((0, seat + back * 0.55, -0.45), (0.52, back * 0.55, 0.08), color)
    p.seat = (0, seat + 0.1, 0.05, 0.48, 0.42)
    return p


@noun("brown", front=False)
def table(color: Color, vary: Vary) -> Parts:
    p, tall, wide = Parts(), vary(0.75, 0.95), vary(0.9, 1.1)
    for z in (0.58, -0.58):
        p.pair(p.block, (wide - 0.16, 0.5 * tall, z), (0.1, 0.5 * tall, 0.1), _darker(color, 0.6))
    p.block((0, tall, 0), (wide, 0.1, 0.75), color)
    p.seat = (0, tall + 0.1, 0, wide, 0.75)
    return p


@noun("red")
def sofa(color: Color, vary: Vary) -> Parts:
    p, wide, back = Parts(), vary(0.9, 1.15), vary(0.42, 0.55)
    p.block((0, 0.3, 0), (wide, 0.22, 0.48), color)
    p.block((0, 0.5 + back, -0.42), (wide, back, 0.15), color)
    p.pair(p.block, (wide, 0.45, 0.02), (0.15, 0.38, 0.5), _darker(color, 0.65))
    p.pair(p.block, (0.48 * wide, 0.56, 0.06), (0.42 * wide, 0.1, 0.4), CREAM)
    p.pair(p.block, (wide - 0.08, 0.04, 0.36), (0.07, 0.08, 0.07), DARK)
    p.pair(p.block, (wide - 0.08, 0.04, -0.44), (0.07, 0.08, 0.07), DARK)
    p.seat = (0, 0.66, 0.1, 0.85 * wide, 0.4)
    return p


@noun("white", front=False)
def mug(color: Color, vary: Vary) -> Parts:
    p, tall, wide = Parts(), vary(0.55, 0.7), vary(0.48, 0.58)
    p.tube((0, 0, 0), (0, 2 * tall, 0), wide, color)
    p.tube((0, 2 * tall - 0.02, 0), (0, 2 * tall + 0.02, 0), 0.84 * wide, (0.30, 0.17, 0.08))
    ring = [(wide + 0.34 * sin(radians(a)) - 0.04, tall + 0.7 * tall * cos(radians(a)) * 0.8, 0) for a in range(0, 181, 30)]
    for start, end in itertools.pairwise(ring):
        p.tube(start, end, 0.1, color)
        p.ball(end, 0.1, color)
    return p


@noun("yellow", front=False)
def lamp(color: Color, vary: Vary) -> Parts:
    p, tall = Parts(), vary(1.1, 1.4)
    p.tube((0, 0, 0), (0, 0.12, 0), 0.42, DARK)
    p.tube((0, 0.1, 0), (0, tall, 0), 0.08, (0.7, 0.55, 0.2))
    p.tube((0, tall - 0.1, 0), (0, tall + 0.55, 0), 0.6, color, vary(0.28, 0.38))
    return p


@noun("black", front=False)
def hat(color: Color, vary: Vary) -> Parts:
    p, tall = Parts(), vary(0.6, 0.85)
    p.tube((0, 0, 0), (0, 0.1, 0), vary(0.9, 1.05), color)
    p.tube((0, 0.08, 0), (0, tall + 0.1, 0), 0.58, color, 0.52)
    p.tube((0, 0.1, 0), (0, 0.3, 0), 0.6, RED if color != RED else YELLOW, 0.6)
    return p


@noun("yellow")
def surfboard(color: Color, vary: Vary) -> Parts:
    p, length, wide = Parts(), vary(1.3, 1.5), vary(0.42, 0.5)
    p.ball((0, 0.1, 0), (wide, 0.11, length), color)
    p.ball((0, 0.12, 0), (0.09, 0.105, 0.97 * length), RED if color != RED else WHITE)
    p.ball((0, 0.1, 0.78 * length), (0.52 * wide, 0.112, 0.235 * length), WHITE if color != WHITE else COLORS["blue"])
    p.block((0, -0.12, -0.72 * length), (0.04, 0.2, 0.16), DARK, taper=(1, 0.5), turn=(180, 0, 0))
    p.seat = (0, 0.2, 0, 0.6, 1.0)
    return p


# ------------------------------------------------------------------------------------------------ outdoors and people
@noun("green", front=False)
def tree(color: Color, vary: Vary) -> Parts:
    p, trunk, crown = Parts(), vary(0.6, 0.85), vary(0.6, 0.75)
    p.tube((0, 0, 0), (0, trunk + 0.2, 0), 0.2, WOOD, 0.14)
    p.ball((0, trunk + crown, 0), (crown, crown, crown), color)
    p.pair(p.ball, (0.5 * crown, trunk + 0.62 * crown, 0.2), 0.6 * crown, _darker(color, 0.85))
    p.ball((0, trunk + 0.6 * crown, -0.45 * crown), 0.6 * crown, _darker(color, 0.85))
    return p


@noun("red", front=False)
def mushroom(color: Color, vary: Vary) -> Parts:
    p, stalk, wide = Parts(), vary(0.6, 0.85), vary(0.8, 0.95)
    p.tube((0, 0, 0), (0, stalk + 0.1, 0), 0.32, CREAM, 0.24)
    p.dome((0, stalk, 0), (wide, vary(0.6, 0.75), wide), color)
    for angle in range(0, 360, 60):
        a = radians(angle)
        p.ball((0.72 * wide * sin(a), stalk + 0.42, 0.72 * wide * cos(a)), 0.14, WHITE)
    p.ball((0, stalk + 0.64, 0), (0.2, 0.1, 0.2), WHITE)
    p.head = (0, stalk + 0.6, 0, 0.4)
    return p


@noun("white")
def house(color: Color, vary: Vary) -> Parts:
    p, tall, wide = Parts(), vary(0.42, 0.55), vary(0.65, 0.8)
    roof = _darker(RED, 0.8)
    p.block((0, tall, 0), (wide, tall, 0.6), color)
    p.block((0, 2 * tall + 0.3, 0), (wide + 0.15, 0.32, 0.72), roof, taper=(1, 0))
    p.block((0, 0.28, 0.6), (0.15, 0.28, 0.04), WOOD)
    p.pair(p.block, (0.6 * wide, 1.25 * tall, 0.6), (0.14, 0.14, 0.03), GLASS)
    p.pair(p.block, (wide, 1.1 * tall, 0), (0.03, 0.15, 0.17), GLASS)
    p.block((0.5 * wide, 2 * tall + 0.55, -0.25), (0.1, 0.26, 0.1), (0.45, 0.2, 0.15))
    return p


@noun("white")
def snowman(color: Color, vary: Vary) -> Parts:
    p, low = Parts(), vary(0.52, 0.6)
    p.ball((0, low - 0.06, 0), low, color)
    middle = 2 * low + 0.2
    p.ball((0, middle, 0), 0.42, color)
    head = (0, middle + 0.6, 0)
    p.ball(head, 0.32, color)
    p.tube((0, head[1] - 0.02, 0.26), (0, head[1] - 0.06, 0.26 + vary(0.32, 0.44)), 0.1, ORANGE, 0.0)
    p.pair(p.ball, (0.13, head[1] + 0.1, 0.27), 0.065, EYE)
    for y in (middle + 0.16, middle - 0.08):
        p.ball((0, y, 0.42), 0.07, EYE)
    p.tube((0, middle + 0.28, 0), (0, middle + 0.42, 0), 0.34, RED, 0.3)
    p.block((0.16, middle + 0.2, 0.36), (0.08, 0.18, 0.05), RED)
    p.pair(p.tube, (0.36, middle + 0.05, 0), (0.86, middle + vary(0.2, 0.4), 0.05), 0.05, WOOD)
    p.head = (0, head[1] + 0.27, 0, 0.3)
    return p


@noun("grey")
def robot(color: Color, vary: Vary) -> Parts:
    p, tall, wide = Parts(), vary(0.42, 0.55), vary(0.38, 0.48)
    metal = (0.62, 0.64, 0.68)
    p.pair(p.block, (0.2, 0.25, 0), (0.12, 0.25, 0.14), metal)
    p.pair(p.block, (0.2, 0.06, 0.06), (0.15, 0.07, 0.22), DARK)
    p.block((0, 0.5 + tall, 0), (wide, tall, 0.3), color)
    p.block((0, 0.5 + 1.1 * tall, 0.3), (0.24, 0.2, 0.03), YELLOW)
    p.ball((0, 0.5 + 0.4 * tall, 0.3), 0.07, RED)
    p.pair(p.block, (wide + 0.13, 0.5 + 1.1 * tall, 0), (0.1, 0.85 * tall, 0.12), metal)
    top = 0.5 + 2 * tall
    p.tube((0, top - 0.05, 0), (0, top + 0.12, 0), 0.12, metal)
    p.block((0, top + 0.38, 0), (0.34, 0.28, 0.28), color)
    p.pair(p.ball, (0.15, top + 0.45, 0.28), (0.1, 0.1, 0.05), WHITE)
    p.pair(p.ball, (0.15, top + 0.45, 0.32), (0.05, 0.05, 0.03), EYE)
    p.block((0, top + 0.22, 0.28), (0.17, 0.045, 0.03), DARK)
    p.tube((0, top + 0.6, 0), (0, top + 0.85, 0), 0.04, metal)
    p.ball((0, top + 0.9, 0), 0.09, RED)
    p.head = (0, top + 0.66, 0, 0.32)
    return p
