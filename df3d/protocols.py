"""What each kind of part does. Protocols: nothing is inherited, a class fits by having the methods.

V views of H x W pixels, N points; tensors are float32 on the run's device. `df3d.testing` has a contract test for each.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from df3d.prompt import Prompt
from df3d.schedule import Step
from df3d.types import AT_BEST, Asset, Cameras, FieldSamples, GuidanceStep, RenderOutput, RenderRequest, SurfaceMesh


@runtime_checkable
class Trainable(Protocol):
    """Something a stage optimises and saves: every field and renderer, and a guidance that learns.

    A checkpoint may come from a stranger, so df3d compares it with `state_dict` before it calls `load_state_dict`: the same
    names, shapes and types, and finite numbers. A part whose tensors change their shape, or index anything, has an attribute
    `state_rules: Mapping[str, TensorRule]` that says so.
    """

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


@runtime_checkable
class Noted(Protocol):
    """A part that does something in place of what was asked for, or would be better."""

    @property
    def notes(self) -> Sequence[str]:
        """What it does instead, a sentence each; said once, when a stage begins."""
        ...


class Field(Trainable, Protocol):
    """The scene: a volume, a surface, or something that a renderer of the same plugin knows how to draw."""


@runtime_checkable
class Volume(Field, Protocol):
    """A field with a density everywhere in the unit ball: capability "volume"."""

    def query(self, points: Tensor, *, gradient: bool = False) -> FieldSamples:
        """Density, albedo and, if asked, the density gradient at points (N, 3), all differentiable."""
        ...

    def density(self, points: Tensor) -> Tensor:
        """(N,) density alone, for occupancy and extraction."""
        ...

    def albedo(self, points: Tensor) -> Tensor:
        """(N, 3) in [0, 1] at points (N, 3)."""
        ...


@runtime_checkable
class Surface(Field, Protocol):
    """A field with a surface: capability "surface"."""

    def surface(self) -> SurfaceMesh:
        """The surface as it is now.

        Raises EmptyFieldError when there is none.
        """
        ...

    def albedo(self, points: Tensor) -> Tensor:
        """(N, 3) in [0, 1] at points (N, 3)."""
        ...


@runtime_checkable
class AssetField(Field, Protocol):
    """A field that is an asset of its own kind, such as "gaussians", which its record names in `provides`."""

    def asset(self) -> Asset:
        """What it is now, without gradients.

        Raises EmptyFieldError when it holds nothing.
        """
        ...


@runtime_checkable
class Resizable(Field, Protocol):
    """A field that changes its own size, as 3D Gaussian Splatting does (arXiv 2308.04079, section 5.2)."""

    def after_backward(self, optimizer: torch.optim.Optimizer, render: RenderOutput, step: Step) -> None:
        """Called between the gradient and the optimiser's step; not where the gradient is not a number.

        It may add and remove rows of its own parameters, and of what the optimiser knows of them: `df3d.scene.resize.resize_rows`.
        """
        ...


class Renderer(Trainable, Protocol):
    def render(self, field: Any, cameras: Cameras, request: RenderRequest = AT_BEST) -> RenderOutput:
        """Draw the field. Every output of `request.needs` is there; with `request.step`, as in training."""
        ...

    def refresh(self, field: Any, step: Step) -> None:
        """Look at the field anew before a training step (an occupancy grid, say), without gradients; once for a step."""
        ...


Encoded = TypeVar("Encoded")


class Guidance(Protocol[Encoded]):
    def encode(self, prompt: Prompt) -> Encoded:
        """Read the prompt, once a stage; what comes back goes to `step` unchanged."""
        ...

    def step(self, render: RenderOutput, cameras: Cameras, encoded: Encoded, step: Step) -> GuidanceStep:
        """Judge one batch of renders."""
        ...


@runtime_checkable
class Reconfigurable(Protocol):
    """A guidance that can share what it has loaded, its model above all, with one of other options."""

    def with_config(self, config: Any) -> Any | None:
        """A guidance with these options, equal to a new one; None where they ask for another model."""
        ...


class CameraSampler(Protocol):
    def sample(self, step: Step) -> Cameras:
        """The cameras of a training step, on the CPU; the same step has the same ones.

        With a group of G, which the guidance asks for, each run of G cameras sees the object in one moment: their number is
        a multiple of G.
        """
        ...


class Penalty(Protocol):
    def __call__(self, render: RenderOutput, field: Any) -> Tensor:
        """A scalar, lower is better, differentiable in the field. The recipe's weight is not in it."""
        ...


class Source(Protocol):
    def make(self, prompt: Prompt, seed: int) -> Asset | dict[str, Tensor]:
        """Make an asset in one go, or the state that the stage's field loads; the same seed makes the same one."""
        ...


class Importer(Protocol):
    def read(self, path: Path) -> Asset:
        """The asset in a file, whoever made it.

        Raises ExportError when it cannot be read.
        """
        ...


class Exporter(Protocol):
    def write(self, asset: Any, path: Path) -> list[Path]:
        """Write the asset at `path`, and what belongs to it beside it; returns all files, `path` first."""
        ...


class Subject(Protocol):
    """An asset as scorers see it (docs/reference/protocol.md): read, moved and scaled into the unit ball, drawn when asked."""

    @property
    def path(self) -> Path:
        """The file."""
        ...

    @property
    def prompt(self) -> str:
        """What it should show; "" where nobody knows."""
        ...

    @property
    def asset(self) -> Asset:
        """As it is in the file."""
        ...

    @property
    def fitted(self) -> Asset:
        """Moved and scaled into the unit ball."""
        ...

    @property
    def cameras(self) -> Cameras:
        """The protocol's V cameras: evenly around, the first from the front."""
        ...

    @property
    def color(self) -> Tensor:
        """(V, H, W, 3): the protocol's pictures."""
        ...

    @property
    def opacity(self) -> Tensor:
        """(V, H, W): where the object is in them."""
        ...

    @property
    def geometry(self) -> Tensor:
        """(V, H, W, 3): the same without colour ("geo"). Of meshes alone."""
        ...

    def draw(self, cameras: Cameras, *, textureless: bool = False, background: float = 1.0, ambient: float = 0.5) -> Tensor:
        """(V, H, W, 4) colour and opacity from any cameras, under a light at each."""
        ...


class Scorer(Protocol):
    def score(self, subject: Subject) -> dict[str, float]:
        """Numbers for one asset, by measure.

        Raises a Df3dError when it cannot be scored, for example because its prompt is not known.
        """
        ...


class Worker(Protocol):
    """One process that a launcher has started, here or elsewhere."""

    def poll(self) -> int | None:
        """Its exit code, or None while it works or waits to be started."""
        ...

    def cancel(self) -> None:
        """Ask it to save and stop."""
        ...


class Launcher(Protocol):
    def start(self, command: Sequence[str], count: int, environment: Mapping[str, str]) -> list[Worker]:
        """Start `count` workers, each with `command` and, beside its own environment, the variables of `environment`."""
        ...


@runtime_checkable
class Sized(Protocol):
    """A launcher that knows how many workers its machines carry."""

    def workers(self) -> int:
        """How many to start where a person does not say."""
        ...
