"""The contracts find what is wrong with a part: each part here breaks one promise, and the test of that promise fails."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch

from df3d import (
    hookimpl,
    option,
)
from df3d.errors import ExportError, ModelError
from df3d.plugin.catalog import Catalog
from df3d.plugin.records import KINDS, Component, Memory, Workload
from df3d.scene.cameras import orbit
from df3d.testing import SolidBall, a_mesh
from df3d.testing.check import _run, check
from df3d.testing.contracts import CONTRACTS
from df3d.types import Cameras, FieldSamples, GuidanceStep, MeshAsset, RenderOutput


def record(kind: str, target: Any, **more: Any) -> Component:
    """A record of a part that is in this module."""
    usual: dict[str, dict[str, Any]] = {
        "field": {"provides": frozenset({"volume"})},
        "renderer": {"needs": frozenset({"volume"})},
        "source": {"makes": "mesh"},
        "importer": {"suffixes": (".known",)},
        "exporter": {"suffixes": (".known",)},
        "scorer": {"headline": ("one",)},
    }
    told = {"name": "known", "summary": "A part", "target": f"{__name__}:{target.__name__}", **usual.get(kind, {}), **more}
    return KINDS[kind](**told)


def contract(*records: Component, **attributes: Any) -> Any:
    """The contract of the first of some parts, among these alone."""

    class Offers:
        pass

    for kind, of_kind in KINDS.items():
        found = [one for one in records if one.kind == kind]
        if found:
            setattr(Offers, of_kind.hook, hookimpl(_answering(found)))
    catalog = Catalog()
    catalog.add(Offers())
    return type("Known", (CONTRACTS[records[0].kind],), {"name": "known", "catalog": catalog, **attributes})()


def _answering(found: list[Component]) -> Any:
    def hook(self: object) -> list[Component]:
        return found

    return hook


def outcome(test: str, *records: Component, **attributes: Any) -> tuple[str, str]:
    return _run(contract(*records, **attributes), f"test_{test}")


def failed(test: str, *records: Component, **attributes: Any) -> str:
    """Why it failed; "" where it did not."""
    state, why = outcome(test, *records, **attributes)
    assert state in ("ok", "failed"), why
    return why if state == "failed" else ""


# ---------------------------------------------------------------------------------------------- what all promise
@dataclass(frozen=True, kw_only=True)
class Counted:
    size: int = option(3, "how large", low=1, high=8)


@dataclass(frozen=True, kw_only=True)
class Unbounded:
    size: int = option(3, "how large", low=1)


@dataclass(frozen=True, kw_only=True)
class Bottomless:
    size: int = option(3, "how large", high=8)


@dataclass(frozen=True, kw_only=True)
class Growing:
    size: float = option(3.0, "how large")

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", 2 * self.size)


@dataclass(frozen=True, kw_only=True)
class Inner:
    used: float = option(1.0, "read")
    unused: float = option(1.0, "not read")


@dataclass(frozen=True, kw_only=True)
class Choosy:
    kind: Literal["a", "b"] = option("a", "which")
    of_b: float = option(1.0, "read with b alone")
    old: float = option(1.0, "nothing", deprecated="it is over")


@dataclass(frozen=True, kw_only=True)
class Nested:
    inner: Inner = option(Inner(), "a table")


def penalty(render: RenderOutput, field: Any) -> torch.Tensor:
    return render.opacity.mean()


def negative(config: object, work: Workload) -> Memory:
    return Memory(-1.0)


def words(config: object, work: Workload) -> str:
    return "much"


def some(config: object, work: Workload) -> Memory:
    return Memory(0.0)


not_callable = "a text"


class Reader:
    """An importer that looks at its options, and so stands for parts that have some."""

    def __init__(self, config: Any) -> None:
        if isinstance(config, Choosy) and config.kind == "b":
            assert config.of_b
        if isinstance(config, Nested):
            assert config.inner.used

    def read(self, path: Path) -> MeshAsset:
        return a_mesh()


def test_whole_numbers_without_a_bound_are_found() -> None:
    test = "its_whole_numbers_have_bounds"
    assert failed(test, record("penalty", penalty, config=Counted)) == ""
    assert "option `size` has no `high`" in failed(test, record("penalty", penalty, config=Unbounded))
    assert "option `size` has no `low`" in failed(test, record("penalty", penalty, config=Bottomless))


def test_options_that_change_when_they_are_written_are_found() -> None:
    test = "its_options_survive_being_written_and_read"
    assert failed(test, record("penalty", penalty, config=Counted)) == ""
    assert failed(test, record("penalty", penalty, config=Growing))


def test_options_that_nothing_reads_are_found() -> None:
    """Those of tables by their path; one that belongs to a choice is read there; what is deprecated need not be."""
    write: dict[str, Any] = {"write": lambda self, path: path.write_text("x")}
    test = "every_option_has_a_say"
    assert failed(test, record("importer", Reader, config=Choosy), **write) == ""
    assert "nothing reads inner.unused:" in failed(test, record("importer", Reader, config=Nested), **write)
    assert "nothing reads size:" in failed(test, record("importer", Reader, config=Counted), **write)
    assert outcome(test, record("penalty", penalty))[0] == "skipped"


def test_a_target_that_cannot_be_called_is_found() -> None:
    good = record("penalty", penalty)
    assert failed("its_target_can_be_imported", good) == ""
    assert failed("its_target_can_be_imported", replace(good, target=f"{__name__}:not_callable"))
    assert "cannot be loaded" in failed("its_target_can_be_imported", replace(good, target=f"{__name__}:gone"))


def test_memory_that_is_no_number_of_bytes_is_found() -> None:
    test = "it_says_what_memory_it_takes_or_nothing"
    assert failed(test, record("penalty", penalty)) == ""
    assert failed(test, record("penalty", penalty, memory=f"{__name__}:some")) == ""
    assert failed(test, record("penalty", penalty, memory=f"{__name__}:negative"))
    assert failed(test, record("penalty", penalty, memory=f"{__name__}:words"))


# ---------------------------------------------------------------------------------------------- fields
class Ball(SolidBall):
    def __init__(self, config: Any = None, *, device: str = "cpu", start_from: Any = None) -> None:
        super().__init__()


class Hole(Ball):
    def density(self, points: torch.Tensor) -> torch.Tensor:
        return -super().density(points)


class Bright(Ball):
    def albedo(self, points: torch.Tensor) -> torch.Tensor:
        return super().albedo(points) + 1


class Black(Ball):
    def albedo(self, points: torch.Tensor) -> torch.Tensor:
        return super().albedo(points) - 1


class Flat(Ball):
    def query(self, points: torch.Tensor, *, gradient: bool = False) -> FieldSamples:
        return replace(super().query(points), gradient=None)


class TwoMinds(Ball):
    def query(self, points: torch.Tensor, *, gradient: bool = False) -> FieldSamples:
        found = super().query(points, gradient=gradient)
        return replace(found, density=2 * found.density)


class Fixed(Ball):
    def density(self, points: torch.Tensor) -> torch.Tensor:
        return super().density(points).detach() + 0 * self.other

    def __init__(self, config: Any = None, *, device: str = "cpu", start_from: Any = None) -> None:
        super().__init__()
        self.other = torch.nn.Parameter(torch.tensor(1.0))


class Forgetful(Ball):
    def load_state_dict(self, state: Any) -> None: ...


class Indexed(Ball):
    """A state with numbers that index something, and no rule that says so."""

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {**super().state_dict(), "index": torch.zeros(2, dtype=torch.long)}


class Unready(Ball):
    def __init__(self, config: Any = None, *, device: str = "cpu", start_from: Any = None) -> None:
        if start_from is not None:
            raise ZeroDivisionError("cannot start")
        super().__init__()


VOLUME = "a_volume_answers_with_densities_and_colours_that_train_it"


@pytest.mark.parametrize(
    ("part", "test"),
    [
        (Hole, VOLUME), (Bright, VOLUME), (Black, VOLUME), (Flat, VOLUME), (TwoMinds, VOLUME), (Fixed, VOLUME),
        (Forgetful, "its_state_is_all_there_is"), (Indexed, "a_state_that_does_not_fit_is_refused"),
        (Unready, "it_starts_from_what_its_record_says"),
    ],
)  # fmt: skip
def test_a_field_that_breaks_a_promise_is_found(part: Any, test: str) -> None:
    starts = frozenset({"volume"})
    assert failed(test, record("field", Ball, starts_from=starts)) == ""
    assert failed(test, record("field", part, starts_from=starts))


def test_a_field_is_what_its_record_says() -> None:
    test = "it_is_what_its_record_says"
    assert failed(test, record("field", Ball)) == ""
    for provides in ({"surface"}, {"volume", "surface"}, {"dust"}):
        assert failed(test, record("field", Ball, provides=frozenset(provides)))


# ---------------------------------------------------------------------------------------------- renderers
class Drawing:
    """Draws the ball as a disc of its density, in closed form."""

    radius, most, repeats = 0.2, 1.0, True

    def __init__(self, config: Any = None, *, device: str = "cpu") -> None:
        self.seen = torch.zeros(1)

    def parameter_groups(self) -> list[dict[str, Any]]:
        return []

    def before_step(self, step: Any) -> None: ...

    def refresh(self, field: Any, step: Any) -> None:
        self.seen = torch.ones(1)

    def render(self, field: Any, cameras: Cameras, request: Any) -> RenderOutput:
        size = cameras.height
        row, column = torch.meshgrid(torch.linspace(-1, 1, size), torch.linspace(-1, 1, size), indexing="ij")
        disc = ((row**2 + column**2).sqrt() < self.radius).float()
        opacity = (self.most * disc * field.parameter / 40).expand(len(cameras), size, size)[..., None]
        if not self.repeats:
            opacity = opacity * float(np.random.default_rng().random())
        return RenderOutput(opacity.expand(-1, -1, -1, 3) * 0.5, opacity, depth=self.depth(opacity))

    def depth(self, opacity: torch.Tensor) -> torch.Tensor | None:
        return opacity * 3

    def state_dict(self) -> dict[str, torch.Tensor]:
        return {"seen": self.seen}

    def load_state_dict(self, state: Any) -> None:
        self.seen = state["seen"]


class Solid(Drawing):
    most = 1.5


class Wide(Drawing):
    radius = 2.0


class Empty(Drawing):
    radius = 0.0


class Random(Drawing):
    repeats = False


class Depthless(Drawing):
    def depth(self, opacity: torch.Tensor) -> torch.Tensor | None:
        return None


class Endless(Drawing):
    def depth(self, opacity: torch.Tensor) -> torch.Tensor | None:
        return opacity / 0


class Detached(Drawing):
    def render(self, field: Any, cameras: Cameras, request: Any) -> RenderOutput:
        found = super().render(field, cameras, request)
        return replace(found, rgb=found.rgb.detach(), opacity=found.opacity.detach() + 0 * field.parameter)


class Restarting(Drawing):
    def load_state_dict(self, state: Any) -> None: ...


RANGE, MIDDLE, TRAIN = "it_puts_out_what_its_record_says_in_range", "the_ball_is_in_the_middle_and_not_at_the_rim", \
    "pixels_train_the_field_and_a_step_repeats_itself"  # fmt: skip


@pytest.mark.parametrize(
    ("part", "test"),
    [
        (Solid, RANGE), (Depthless, RANGE), (Endless, RANGE), (Wide, MIDDLE), (Empty, MIDDLE), (Random, TRAIN), (Detached, TRAIN),
        (Restarting, "its_state_is_all_there_is"),
    ],
)  # fmt: skip
def test_a_renderer_that_breaks_a_promise_is_found(part: Any, test: str) -> None:
    outputs = frozenset({"rgb", "opacity", "depth"})
    assert failed(test, record("renderer", Drawing, outputs=outputs)) == ""
    assert failed(test, record("renderer", part, outputs=outputs))


# ---------------------------------------------------------------------------------------------- guidances
class Judge:
    def __init__(self, config: Any = None, *, device: str = "cpu") -> None:
        self.calls = 0

    def encode(self, prompt: Any) -> str:
        return str(prompt.text)

    def step(self, render: RenderOutput, cameras: Cameras, encoded: Any, step: Any) -> GuidanceStep:
        self.calls += 1
        return GuidanceStep(self.loss(render))

    def loss(self, render: RenderOutput) -> torch.Tensor:
        return render.rgb.square().mean()


class Moody(Judge):
    """What it says depends on how often it was asked."""

    def loss(self, render: RenderOutput) -> torch.Tensor:
        return render.rgb.square().mean() * self.calls


class Chancy(Judge):
    def loss(self, render: RenderOutput) -> torch.Tensor:
        return render.rgb.square().mean() * torch.rand(())

    def __init__(self, config: Any = None, *, device: str = "cpu") -> None:
        super().__init__(config)
        torch.seed()


class Indifferent(Judge):
    def loss(self, render: RenderOutput) -> torch.Tensor:
        return 0 * render.rgb.mean()


class PerView(Judge):
    def loss(self, render: RenderOutput) -> torch.Tensor:
        return render.rgb.square().mean((1, 2, 3))


class Overflowing(Judge):
    def loss(self, render: RenderOutput) -> torch.Tensor:
        return render.rgb.square().mean() / 0


class Reconfigured(Judge):
    def with_config(self, config: Any) -> Any:
        return Moody(config) if self.calls == 0 else _after(Moody(config))


def _after(judge: Moody) -> Moody:
    judge.calls = 3
    return judge


JUDGES, SERVES = "it_judges_any_number_of_views_the_same_way_twice", "one_that_served_a_run_serves_the_next_as_a_new_one_does"


@pytest.mark.parametrize(
    ("part", "test"),
    [(Chancy, JUDGES), (Indifferent, JUDGES), (PerView, JUDGES), (Overflowing, JUDGES), (Moody, SERVES), (Reconfigured, SERVES)],
)
def test_a_guidance_that_breaks_a_promise_is_found(part: Any, test: str) -> None:
    assert failed(test, record("guidance", Judge)) == ""
    assert failed(test, record("guidance", part))


# ---------------------------------------------------------------------------------------------- cameras
class Ring:
    distance, turned, views = 3.0, False, 4

    def __init__(self, config: Any = None, *, group: int = 1) -> None:
        self.group = group

    def sample(self, step: Any) -> Cameras:
        cameras = orbit(self.views, start=float(step.index), distance=self.distance, size=16)
        return self.changed(cameras)

    def changed(self, cameras: Cameras) -> Cameras:
        return cameras


class Still(Ring):
    def sample(self, step: Any) -> Cameras:
        return orbit(4, size=16)


class Jumpy(Ring):
    def sample(self, step: Any) -> Cameras:
        return orbit(4, start=float(torch.rand(()) * 90), size=16)


class Near(Ring):
    distance = 0.9


class Lying(Ring):
    def changed(self, cameras: Cameras) -> Cameras:
        return replace(cameras, distance=cameras.distance + 1)


class Away(Ring):
    def changed(self, cameras: Cameras) -> Cameras:
        pose = cameras.pose.clone()
        pose[:, :3, 2] *= -1
        return replace(cameras, pose=pose)


class Odd(Ring):
    views = 3


def four(config: object) -> Workload:
    return Workload(4, 16)


OWN, GROUPS, ASKS = "a_step_has_its_own_cameras_that_see_the_object", "groups_are_whole", "it_says_what_a_step_asks_of_others"


@pytest.mark.parametrize(
    ("part", "test"), [(Still, OWN), (Jumpy, OWN), (Near, OWN), (Lying, OWN), (Away, OWN), (Odd, GROUPS), (Odd, ASKS)]
)
def test_cameras_that_break_a_promise_are_found(part: Any, test: str) -> None:
    more: dict[str, Any] = {"groups": True, "workload": f"{__name__}:four"}
    assert failed(test, record("cameras", Ring, **more)) == ""
    assert failed(test, record("cameras", part, **more))


# ---------------------------------------------------------------------------------------------- penalties, optimisers
def of_each(render: RenderOutput, field: Any) -> torch.Tensor:
    return render.opacity.mean((1, 2, 3))


def detached(render: RenderOutput, field: Any) -> torch.Tensor:
    return render.opacity.detach().mean()


def endless(render: RenderOutput, field: Any) -> torch.Tensor:
    return render.opacity.mean() / 0


def of_depth(render: RenderOutput, field: Any) -> torch.Tensor:
    assert render.depth is not None
    return render.opacity.mean() + render.depth.mean()


@pytest.mark.parametrize(
    ("part", "test"),
    [
        (of_each, "it_is_a_finite_number_that_has_a_gradient"),
        (detached, "it_is_a_finite_number_that_has_a_gradient"),
        (endless, "it_is_a_finite_number_that_has_a_gradient"),
        (of_depth, "it_says_what_it_needs"),
    ],
)
def test_a_penalty_that_breaks_a_promise_is_found(part: Any, test: str) -> None:
    assert failed(test, record("penalty", penalty)) == ""
    assert failed(test, record("penalty", part))


def test_a_penalty_may_need_more_if_it_says_so() -> None:
    assert failed("it_says_what_it_needs", record("penalty", of_depth, needs=frozenset({"depth"}))) == ""


def adam(config: Any, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.Adam(groups)


def uphill(config: Any, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    return torch.optim.Adam(groups, maximize=True)


def restless(config: Any, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    class Restless(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            with torch.no_grad():
                for group in self.param_groups:
                    for parameter in group["params"]:
                        parameter -= 0.01 * parameter.grad
            return super().step(closure)

    return Restless(groups)


def counting(config: Any, groups: list[dict[str, Any]]) -> torch.optim.Optimizer:
    """Slower with each step, which its state does not say."""

    class Counting(torch.optim.SGD):
        steps = 0

        def step(self, closure: Any = None) -> Any:
            self.steps += 1
            for group in self.param_groups:
                group["lr"] = 0.01 / self.steps if group["lr"] else 0.0
            return super().step(closure)

    return Counting(groups)


@pytest.mark.parametrize(
    ("part", "test"),
    [
        (uphill, "it_goes_downhill"),
        (restless, "a_rate_of_zero_changes_nothing"),
        (counting, "it_goes_on_as_if_it_had_never_stopped"),
    ],
)
def test_an_optimiser_that_breaks_a_promise_is_found(part: Any, test: str) -> None:
    assert failed(test, record("optimizer", adam)) == ""
    assert failed(test, record("optimizer", part))


# ---------------------------------------------------------------------------------------------- files
class Maker:
    def __init__(self, config: Any = None, *, device: str = "cpu") -> None: ...

    def make(self, prompt: Any, seed: int) -> Any:
        return a_mesh()


class Whim(Maker):
    def make(self, prompt: Any, seed: int) -> Any:
        mesh = a_mesh().mesh
        return replace(a_mesh(), mesh=replace(mesh, vertices=mesh.vertices + np.random.default_rng().random(3)))


class Nothing(Maker):
    def make(self, prompt: Any, seed: int) -> Any:
        return replace(a_mesh(), mesh=replace(a_mesh().mesh, faces=np.zeros((0, 3), np.int64)))


class State(Maker):
    def make(self, prompt: Any, seed: int) -> Any:
        return {"a": torch.ones(3)}


class StateOfMind(Maker):
    def make(self, prompt: Any, seed: int) -> Any:
        return {"a": torch.from_numpy(np.random.default_rng().random(3))}


@pytest.mark.parametrize(
    ("part", "makes", "right"),
    [
        (Maker, "mesh", True), (Whim, "mesh", False), (Nothing, "mesh", False), (State, "mesh", False), (Maker, "dust", False),
        (State, "state", True), (StateOfMind, "state", False), (Maker, "state", False),
    ],
)  # fmt: skip
def test_a_source_makes_what_its_record_says(part: Any, makes: str, right: bool) -> None:
    why = failed("a_seed_makes_what_its_record_says_and_the_same_again", record("source", part, makes=makes))
    assert (why == "") == right


class Careful(Reader):
    def read(self, path: Path) -> MeshAsset:
        if path.read_bytes() != b"x":
            raise ExportError(f"`{path}` is damaged", "take another")
        return a_mesh()


class Hintless(Reader):
    def read(self, path: Path) -> MeshAsset:
        raise ExportError(f"`{path}` is damaged")


class Vague(Reader):
    def read(self, path: Path) -> MeshAsset:
        raise ExportError("it is damaged", "take another")


class Kindless(Careful):
    def read(self, path: Path) -> Any:
        super().read(path)
        return "a mesh"


def test_an_importer_reads_its_files_and_nothing_else() -> None:
    write: dict[str, Any] = {"write": lambda self, path: path.write_bytes(b"x")}
    assert failed("it_reads_its_files", record("importer", Careful), **write) == ""
    assert failed("it_reads_its_files", record("importer", Kindless), **write)
    assert failed("rubbish_is_refused_with_a_hint", record("importer", Careful)) == ""
    assert "it read rubbish" in failed("rubbish_is_refused_with_a_hint", record("importer", Reader))
    for part in (Hintless, Vague):
        assert failed("rubbish_is_refused_with_a_hint", record("importer", part))
    assert outcome("it_reads_its_files", record("importer", Careful)) == ("skipped", "no exporter writes .known files for it")


class Writer:
    def __init__(self, config: Any = None) -> None: ...

    def write(self, asset: Any, path: Path) -> list[Path]:
        path.write_bytes(b"x")
        return [path]


class Lazy(Writer):
    def write(self, asset: Any, path: Path) -> list[Path]:
        return [path]


class Untidy(Writer):
    def write(self, asset: Any, path: Path) -> list[Path]:
        path.with_suffix(".tmp").write_text("left")
        return super().write(asset, path)


class Beside(Writer):
    def write(self, asset: Any, path: Path) -> list[Path]:
        path.with_suffix(".side").write_text("beside")
        return [*super().write(asset, path), path.with_suffix(".side")]


class Backwards(Beside):
    def write(self, asset: Any, path: Path) -> list[Path]:
        return super().write(asset, path)[::-1]


class Blank(Writer):
    def write(self, asset: Any, path: Path) -> list[Path]:
        path.write_bytes(b"")
        return [path]


@pytest.mark.parametrize(
    ("part", "side_files", "right"),
    [
        (Writer, (), True), (Lazy, (), False), (Untidy, (), False), (Beside, (), False), (Beside, ("{stem}.side",), True),
        (Backwards, ("{stem}.side",), False), (Blank, (), False),
    ],
)  # fmt: skip
def test_an_exporter_writes_its_files_and_leaves_no_others(part: Any, side_files: tuple[str, ...], right: bool) -> None:
    why = failed("it_writes_its_file_first_and_replaces_an_old_one", record("exporter", part, side_files=side_files))
    assert (why == "") == right


class Halving(Careful):
    def read(self, path: Path) -> MeshAsset:
        asset = super().read(path)
        return replace(asset, mesh=replace(asset.mesh, faces=asset.mesh.faces[:2]))


def test_what_is_read_back_has_all_faces() -> None:
    test, written = "what_it_writes_can_be_read_back", record("exporter", Writer)
    assert failed(test, written, record("importer", Careful, name="other")) == ""
    assert failed(test, written, record("importer", Halving, name="other"))
    assert outcome(test, written) == ("skipped", "nothing reads .known files")


# ---------------------------------------------------------------------------------------------- scorers, launchers
class One:
    def __init__(self, config: Any = None, *, device: str = "cpu") -> None: ...

    def score(self, subject: Any) -> dict[str, float]:
        return {"one": 1.0}


class Dice(One):
    def score(self, subject: Any) -> dict[str, float]:
        return {"one": float(np.random.default_rng().random())}


class Infinite(One):
    def score(self, subject: Any) -> dict[str, float]:
        return {"one": float("inf")}


@pytest.mark.parametrize(
    ("part", "more", "right"),
    [
        (One, {}, True), (Dice, {}, False), (Infinite, {}, False), (One, {"headline": ("two",)}, False),
        (One, {"lower": frozenset({"two"})}, False),
    ],
)  # fmt: skip
def test_a_scorer_says_the_same_twice_and_what_its_record_names(part: Any, more: dict[str, Any], right: bool) -> None:
    assert (failed("its_measures_are_numbers_and_the_same_twice", record("scorer", part, **more)) == "") == right


class Starter:
    """Workers that end with a code."""

    codes: tuple[int, ...] = (0, 0)

    def __init__(self, config: Any = None) -> None: ...

    def start(self, command: Any, count: int, environment: Any) -> list[Any]:
        return [_Ended(code) for code in self.codes]


class _Ended:
    def __init__(self, code: int) -> None:
        self._code = code

    def poll(self) -> int:
        return self._code


class Alone(Starter):
    codes = (0,)


class Crowd(Starter):
    codes = (0, 0, 0)


class Failing(Starter):
    codes = (0, 3)


def nowhere(config: object) -> None:
    raise ModelError("there is no cluster")


def test_a_launcher_starts_as_many_as_it_is_told_and_they_end_well() -> None:
    test = "it_starts_as_many_workers_as_it_is_told_and_they_end"
    assert failed(test, record("launcher", Starter)) == ""
    for part in (Alone, Crowd, Failing):
        assert failed(test, record("launcher", part))
    away = record("launcher", Alone, ready=f"{__name__}:nowhere")
    assert outcome(test, away) == ("skipped", "it cannot work here: there is no cluster")


# ---------------------------------------------------------------------------------------------- what the command says of it
class _Told:
    def test_ok(self) -> None: ...

    def test_assertion(self) -> None:
        assert 1 == 2

    def test_words(self) -> None:
        raise AssertionError("one\ntwo")

    def test_error(self) -> None:
        raise ValueError("one\ntwo")

    def test_mute(self) -> None:
        raise ValueError

    def test_folder(self, tmp_path: Path) -> None:
        assert tmp_path.is_dir()


def test_a_failure_is_told_in_a_line() -> None:
    told = {name: _run(_Told(), f"test_{name}") for name in ("ok", "words", "error", "mute", "folder")}  # type: ignore[arg-type]
    assert told == {
        "ok": ("ok", ""), "words": ("failed", "one"), "error": ("failed", "ValueError: one"),
        "mute": ("failed", "ValueError: no message"), "folder": ("ok", ""),
    }  # fmt: skip
    assert _run(_Told(), "test_assertion")[0] == "failed"  # type: ignore[arg-type]


def test_each_contract_of_a_part_is_a_row(catalog: Catalog) -> None:
    rows = list(check(catalog.penalties.get("opacity")))
    names = sorted(name for name in dir(CONTRACTS["penalty"]) if name.startswith("test_"))
    assert [row["contract"] for row in rows] == [name.removeprefix("test_").replace("_", " ") for name in names]
    assert {row["part"] for row in rows} == {"penalty opacity"}
    assert {row["state"] for row in rows} == {"ok", "skipped"}
