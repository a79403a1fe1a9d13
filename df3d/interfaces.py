"""What each kind of part does. Protocols: nothing is inherited, a class fits by having the methods.

V views of H x W pixels, N points; tensors are float32 on the run's device. `df3d.testing` has a contract test for each.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from torch import Tensor

if TYPE_CHECKING:
    from df3d.evaluate import Subject

from df3d.prompt import Prompt
from df3d.schedule import Step
from df3d.types import Asset, Cameras, FieldSamples, GuidanceStep, RenderOutput, SurfaceMesh


@runtime_checkable
class Trainable(Protocol):
    """Something a stage optimises and saves: every field and renderer, and a guidance that learns."""

    def parameter_groups(self) -> list[dict[str, Any]]:
        """Groups for the optimiser: `params`, and `lr` where it has a rate of its own."""
        ...

    def before_step(self, step: Step) -> None:
        """Called before each step, without gradients: progressive levels and the like. A step may be done again."""
        ...

    def state_dict(self) -> dict[str, Tensor]: ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> Any: ...


@runtime_checkable
class Frugal(Protocol):
    """A part that can do its work in less memory."""

    def save_memory(self) -> str:
        """Use less from now on, at the price of time; says how in a few words, or "" when nothing is left to save."""
        ...


class Field(Trainable, Protocol):
    """The scene."""

    def albedo(self, points: Tensor) -> Tensor:
        """(N, 3) in [0, 1] at points (N, 3)."""
        ...


@runtime_checkable
class Volume(Field, Protocol):
    """A field with a density everywhere in the unit ball: capability "volume"."""

    def query(self, points: Tensor, *, gradient: bool = False) -> FieldSamples:
        """Density, albedo and, if asked, the density gradient at points (N, 3), all differentiable."""
        ...

    def density(self, points: Tensor) -> Tensor:
        """(N,) density alone, for occupancy and extraction."""
        ...


@runtime_checkable
class Surface(Field, Protocol):
    """A field with a surface: capability "surface"."""

    def surface(self) -> SurfaceMesh:
        """The surface as it is now.

        Raises EmptyFieldError when there is none.
        """
        ...


class Renderer(Trainable, Protocol):
    def render(self, field: Any, cameras: Cameras, *, step: Step | None = None) -> RenderOutput:
        """Draw the field. With `step`, as in training (jitter, random shading and background); without, at its best."""
        ...

    def refresh(self, field: Any, step: Step) -> None:
        """Look at the field anew before a training step (an occupancy grid, say), without gradients; once for a step."""
        ...


class Guidance(Protocol):
    def encode(self, prompt: Prompt) -> Any:
        """Read the prompt, once a stage; what comes back goes to `step` unchanged."""
        ...

    def step(self, render: RenderOutput, cameras: Cameras, encoded: Any, step: Step) -> GuidanceStep:
        """Judge one batch of renders."""
        ...


class Scorer(Protocol):
    def score(self, subject: Subject) -> dict[str, float]:
        """Numbers for one asset, by measure.

        Raises a Df3dError when it cannot be scored, for example because its prompt is not known.
        """
        ...


class Exporter(Protocol):
    def write(self, asset: Asset, path: Path) -> list[Path]:
        """Write the asset at `path`, and what belongs to it beside it; returns all files, `path` first."""
        ...
