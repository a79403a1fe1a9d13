"""What every kind of part promises, as tests: one class a kind."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from copy import copy
from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Literal, get_args, get_origin
from unittest import SkipTest

import numpy as np
import torch
from torch import Tensor

from df3d.errors import Df3dError
from df3d.evaluation.subject import TargetSubject
from df3d.evaluation.targets import Target
from df3d.mesh.files import read
from df3d.plugin.catalog import Catalog
from df3d.plugin.records import (
    KINDS,
    CamerasPlugin,
    Component,
    ExporterPlugin,
    FieldPlugin,
    GuidancePlugin,
    ImporterPlugin,
    LauncherPlugin,
    Memory,
    OptimizerPlugin,
    PenaltyPlugin,
    RendererPlugin,
    ScorerPlugin,
    SourcePlugin,
    Workload,
    check,
)
from df3d.plugin.schema import dump, hints, parse
from df3d.prompt import Prompt
from df3d.protocols import AssetField, Field, Importer, Reconfigurable, Renderer, Resizable, Surface, Trainable, Volume
from df3d.scene.cameras import orbit
from df3d.schedule import Schedule, Step
from df3d.system.tensors import load_state, optimizer_tensors, restore_optimizer
from df3d.testing.fakes import FIELDS, a_mesh, a_prompt, a_render, an_asset
from df3d.types import AT_BEST, Asset, MeshAsset, RenderOutput, RenderRequest, TensorRule

_catalog = cache(Catalog.discover)


class Contract:
    """What every part promises. A subclass says its `name`, and `options` other than the defaults."""

    kind: ClassVar[str]
    name: ClassVar[str]
    options: ClassVar[dict[str, Any]] = {}
    occasions: ClassVar[tuple[dict[str, Any], ...]] = ()  # options under which others have a say

    @property
    def catalog(self) -> Catalog:
        return _catalog()

    @property
    def record(self) -> Component:
        return self.catalog.shelf(self.kind).get(self.name)

    @property
    def config(self) -> Any:
        return parse(self.record.config, self.options)

    def test_its_record_is_sound(self) -> None:
        assert check(self.record, self.kind) is self.record

    def test_its_options_survive_being_written_and_read(self) -> None:
        assert parse(self.record.config, dump(self.config)) == self.config

    def test_its_whole_numbers_have_bounds(self) -> None:
        """They may size memory or index it, and recipes come from strangers too."""
        for option in fields(self.record.config):
            if isinstance(option.default, int) and not isinstance(option.default, bool):
                low, high = option.metadata.get("low"), option.metadata.get("high")
                assert low is not None, f"option `{option.name}` has no `low`"
                assert high is not None, f"option `{option.name}` has no `high`"

    def exercise(self, config: Any) -> None:
        """Use the part as a run does, with these options."""
        raise SkipTest("nothing here uses it as a run does")

    def test_every_option_has_a_say(self) -> None:
        """What nothing reads does nothing. Each choice of an option is tried, since others may belong to it alone."""
        asked: set[str] = set()
        for choice in [{}, *self.occasions, *_choices(self.record.config)]:
            with suppress(Df3dError, ValueError):
                self.exercise(_watched(parse(self.record.config, {**self.options, **choice}), asked))
            if _names(self.record.config) <= asked:
                break
        silent = _names(self.record.config) - asked
        assert not silent, f"nothing reads {', '.join(sorted(silent))}: give `occasions` on which it does, or leave it out"

    def test_its_target_can_be_imported(self) -> None:
        assert callable(self.record.load())

    def test_it_says_what_memory_it_takes_or_nothing(self) -> None:
        found = self.record.ask("memory", self.config, Workload(1, 64)) if not self.record.ready else None
        assert found is None or (isinstance(found, Memory) and found.bytes >= 0)

    def test_listing_it_imports_no_torch(self) -> None:
        code = (
            "import sys; from df3d.plugin.catalog import Catalog;"
            f"Catalog.discover().shelf({self.kind!r}).get({self.name!r}); sys.exit('torch' in sys.modules)"
        )
        assert subprocess.run([sys.executable, "-c", code], timeout=120, check=False).returncode == 0


def _names(config: type) -> set[str]:
    """Options by their path, without those that are deprecated."""
    found: set[str] = set()
    for one in fields(config):
        if not one.metadata.get("deprecated"):
            found |= {f"{one.name}.{name}" for name in _names(type(one.default))} if _is_table(one.default) else {one.name}
    return found


def _is_table(value: object) -> bool:
    return is_dataclass(value) and not isinstance(value, Schedule)


def _choices(config: type) -> Iterator[dict[str, Any]]:
    """Each value of the options that are a choice among some words."""
    for name, kind in hints(config).items():
        yield from ({name: value} for value in (get_args(kind) if get_origin(kind) is Literal else ()))


def _watched(config: Any, asked: set[str], path: str = "") -> Any:
    """The same config; the paths of options that are read of it are added to `asked`."""
    known = {one.name for one in fields(config)}

    class Watched(type(config)):  # type: ignore[misc]
        def __getattribute__(self, name: str) -> Any:
            value = super().__getattribute__(name)
            if name not in known:
                return value
            if _is_table(value):
                return _watched(value, asked, f"{path}{name}.")
            asked.add(path + name)
            return value

    twin = copy(config)
    object.__setattr__(twin, "__class__", Watched)
    return twin


class FieldContract(Contract):
    kind = "field"

    def exercise(self, config: Any) -> None:
        for start in [None, *(FIELDS[name]() for name in sorted(self.plugin.starts_from & set(FIELDS)))]:
            with suppress(Df3dError):
                field = self.plugin.build(config, device="cpu", start_from=start)
                field.parameter_groups()
                field.before_step(Step(1, 4, "stage", 0))
                if isinstance(field, Volume):
                    field.query(torch.rand(64, 3) - 0.5, gradient=True)
                if isinstance(field, Surface):
                    field.albedo(field.surface().vertices.detach())
                if isinstance(field, Resizable):
                    for renderer in [r for r in self.catalog.renderers if r.needs <= self.plugin.provides][:1]:
                        _step_and_resize(field, renderer.build(renderer.config(), device="cpu"))

    @property
    def plugin(self) -> FieldPlugin:
        return self.catalog.fields.get(self.name)

    def make(self, start_from: Any = None) -> Any:
        torch.manual_seed(0)
        return self.plugin.build(self.config, device="cpu", start_from=start_from)

    def test_it_is_what_its_record_says(self) -> None:
        field, provides = self.make(), self.plugin.provides
        assert isinstance(field, Trainable)
        assert isinstance(field, Volume) == ("volume" in provides)
        assert isinstance(field, Surface) == ("surface" in provides)
        if isinstance(field, AssetField):
            assert field.asset().kind in provides

    def test_a_volume_answers_with_densities_and_colours_that_train_it(self) -> None:
        field = self.make()
        if not isinstance(field, Volume):
            raise SkipTest("it is no volume")
        points = torch.rand(100, 3) - 0.5
        found = field.query(points, gradient=True)
        assert found.gradient is not None
        assert (found.density.shape, found.albedo.shape, found.gradient.shape) == ((100,), (100, 3), (100, 3))
        assert float(found.density.detach().min()) >= 0
        assert 0 <= float(found.albedo.detach().min()) <= float(found.albedo.detach().max()) <= 1
        torch.testing.assert_close(field.density(points), found.density)
        (found.density.sum() + found.albedo.sum() + found.gradient.sum()).backward()  # type: ignore[no-untyped-call]
        _assert_trained(field)

    def test_a_surface_is_a_mesh_with_colours_that_train_it(self) -> None:
        field = self.make()
        if not isinstance(field, Surface):
            raise SkipTest("it is no surface")
        mesh = field.surface()
        assert mesh.vertices.shape[1] == mesh.faces.shape[1] == 3
        assert 0 <= int(mesh.faces.min()) <= int(mesh.faces.max()) < len(mesh.vertices)
        albedo = field.albedo(mesh.vertices.detach())
        assert albedo.shape == mesh.vertices.shape
        assert 0 <= float(albedo.detach().min()) <= float(albedo.detach().max()) <= 1
        (mesh.vertices.square().sum() + albedo.sum()).backward()  # type: ignore[no-untyped-call]
        _assert_trained(field)

    def test_its_state_is_all_there_is(self) -> None:
        first, second = self.make(), self.make()
        for parameter in _parameters(first):
            parameter.data.add_(0.01)
        second.load_state_dict(first.state_dict())
        assert all(torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items())

    def test_a_state_that_does_not_fit_is_refused(self) -> None:
        _assert_wrong_states_are_refused(self.make)

    def test_it_starts_from_what_its_record_says(self) -> None:
        known = self.plugin.starts_from & set(FIELDS)
        if not known:
            raise SkipTest("it starts from nothing that is known here")
        for capability in sorted(known):
            with suppress(Df3dError):  # one that goes on from its own kind alone says so
                assert isinstance(self.make(FIELDS[capability]()), Trainable)

    def test_one_that_resizes_goes_on_from_its_state(self) -> None:
        field = self.make()
        if not isinstance(field, Resizable):
            raise SkipTest("its size does not change")
        renderer = next((r for r in self.catalog.renderers if r.needs <= self.plugin.provides), None)
        if renderer is None:
            raise SkipTest("nothing draws it")
        optimizer = _step_and_resize(field, renderer.build(renderer.config(), device="cpu"))
        again = self.make()
        again.load_state_dict(field.state_dict())
        second = torch.optim.Adam([{**group, "params": list(group["params"])} for group in again.parameter_groups()], lr=0.01)
        restore_optimizer(second, optimizer_tensors(optimizer))
        assert [p.shape for p in _parameters(again)] == [p.shape for p in _parameters(field)]


def _assert_wrong_states_are_refused(make: Callable[[], Any]) -> None:
    """A checkpoint may come from a stranger: what does not fit is a ValueError of df3d, and never reaches a kernel."""
    part = make()
    right = {name: tensor.clone() for name, tensor in part.state_dict().items()}
    rules: dict[str, TensorRule] = getattr(part, "state_rules", {})
    wrong = [("has a strange tensor", {**right, "strange": torch.zeros(1)})]
    for name, tensor in right.items():
        wrong.append((f"lacks `{name}`", {key: value for key, value in right.items() if key != name}))
        grows = rules.get(name, TensorRule()).rows == name
        wrong += [(f"has a `{name}` that {how}", {**right, name: bad}) for how, bad in _spoilt(tensor, grows=grows)]
    for how, state in wrong:
        try:
            load_state(part, state)
        except ValueError:
            continue
        raise AssertionError(f"it took a state that {how}")


def _spoilt(tensor: Tensor, *, grows: bool) -> Iterator[tuple[str, Tensor]]:
    """Versions of a tensor that no part can use."""
    yield "has one axis more", tensor[None]
    yield "has no numbers", tensor.new_zeros(0)
    yield "is complex", tensor.to(torch.complex64)
    if tensor.dim() and not grows:
        yield "has a row more", torch.cat([tensor, tensor[:1]]) if len(tensor) else tensor.new_zeros(1, *tensor.shape[1:])
    if tensor.dim() > 1:
        yield "has a column more", torch.cat([tensor, tensor[:, :1]], dim=1)
    if tensor.is_floating_point():
        for number in (float("nan"), float("inf"), float("-inf")):
            yield f"holds {number}", torch.full_like(tensor, number)
    elif tensor.dtype != torch.bool:
        for number in (-1, torch.iinfo(tensor.dtype).max, torch.iinfo(tensor.dtype).min):
            yield f"holds {number}", torch.full_like(tensor, number)


def _parameters(part: Any) -> list[Tensor]:
    return [parameter for group in part.parameter_groups() for parameter in group["params"]]


def _assert_trained(part: Any) -> None:
    for parameter in _parameters(part):
        assert parameter.grad is not None
        assert bool(torch.isfinite(parameter.grad).all())


def _step_and_resize(field: Any, renderer: Renderer) -> torch.optim.Optimizer:
    """A hundred short steps, in which the field may change its size."""
    optimizer = torch.optim.Adam(field.parameter_groups(), lr=0.01)
    for index in range(100):
        _step(field, renderer, optimizer, Step(index, 100, "contract"))
    return optimizer


def _step(field: Any, renderer: Renderer, optimizer: torch.optim.Optimizer, step: Step) -> None:
    field.before_step(step)
    renderer.refresh(field, step)
    render = renderer.render(field, orbit(1, size=16), RenderRequest(step))
    optimizer.zero_grad()
    (render.rgb - 0.2).square().mean().backward()  # type: ignore[no-untyped-call]
    field.after_backward(optimizer, render, step)
    optimizer.step()


class RendererContract(Contract):
    """For volumes and surfaces: it draws a ball of radius 0.5. For other fields: one that is installed."""

    kind = "renderer"

    def exercise(self, config: Any) -> None:
        field, renderer = self.field(), self.plugin.build(config, device="cpu")
        renderer.parameter_groups()
        for step in (Step(0, 10), Step(9, 10), None):
            renderer.refresh(field, step or Step(0, 10))
            renderer.render(field, orbit(1, size=16), RenderRequest(step, self.plugin.outputs if step else AT_BEST.needs))

    @property
    def plugin(self) -> RendererPlugin:
        return self.catalog.renderers.get(self.name)

    def make(self) -> Renderer:
        torch.manual_seed(0)
        return self.plugin.build(self.config, device="cpu")

    def field(self) -> Any:
        """What it draws here: a ball where it can, or else an installed field that has what it needs."""
        for capability, ball in FIELDS.items():
            if self.plugin.needs <= {capability}:
                return ball()
        for plugin in self.catalog.fields:
            if self.plugin.needs <= plugin.provides:
                torch.manual_seed(0)
                return plugin.build(plugin.config(), device="cpu", start_from=None)
        raise SkipTest(f"no field with {', '.join(sorted(self.plugin.needs))} is installed")

    def draw(self, views: int, step: Step | None) -> tuple[Field, RenderOutput]:
        field, renderer = self.field(), self.make()
        renderer.refresh(field, step or Step(0, 10))
        needs = self.plugin.outputs if step else AT_BEST.needs
        return field, renderer.render(field, orbit(views, size=16), RenderRequest(step, needs))

    def test_it_puts_out_what_its_record_says_in_range(self) -> None:
        for views in (1, 3):
            for step in (None, Step(0, 10), Step(9, 10)):
                _, view = self.draw(views, step)
                assert view.rgb.shape == (views, 16, 16, 3)
                assert view.opacity.shape == (views, 16, 16, 1)
                for output in self.plugin.outputs if step else ():
                    value = getattr(view, output)
                    assert value is not None, f"it did not put out {output}"
                    assert not isinstance(value, Tensor) or bool(torch.isfinite(value).all())
                assert float(view.opacity.detach().min()) >= -1e-4
                assert float(view.opacity.detach().max()) <= 1 + 1e-4

    def test_the_ball_is_in_the_middle_and_not_at_the_rim(self) -> None:
        if not any(self.plugin.needs <= {capability} for capability in FIELDS):
            raise SkipTest("it draws no balls")
        _, view = self.draw(2, None)
        assert float(view.opacity.detach()[:, 8, 8].min()) > 0.9
        assert float(view.opacity.detach()[:, 0, 0].max()) < 0.1

    def test_pixels_train_the_field_and_a_step_repeats_itself(self) -> None:
        gradients = []
        for _ in range(2):
            field, view = self.draw(2, Step(3, 10))
            (view.opacity.sum() + view.rgb.sum()).backward()  # type: ignore[no-untyped-call]
            found = [parameter.grad for parameter in _parameters(field) if parameter.grad is not None]
            assert found
            assert all(bool(torch.isfinite(gradient).all()) for gradient in found)
            gradients.append(torch.cat([gradient.flatten() for gradient in found]))
        assert torch.equal(*gradients)
        assert float(gradients[0].abs().sum()) > 0

    def test_its_state_is_all_there_is(self) -> None:
        first, second = self.make(), self.make()
        first.refresh(self.field(), Step(0, 10))
        second.load_state_dict(first.state_dict())
        assert all(torch.equal(value, second.state_dict()[key]) for key, value in first.state_dict().items())

    def test_a_state_that_does_not_fit_is_refused(self) -> None:
        _assert_wrong_states_are_refused(self.make)


class GuidanceContract(Contract):
    kind = "guidance"
    prompt: ClassVar[str] = "a red car"

    def exercise(self, config: Any) -> None:
        guidance = self.plugin.build(config, device="cpu")
        with TemporaryDirectory() as folder:
            encoded = guidance.encode(a_prompt(self.prompt, self.plugin.accepts, Path(folder)))
        if isinstance(guidance, Trainable):
            guidance.parameter_groups()
        for step in (Step(2, 10), Step(9, 10)):
            cameras = orbit(2 * self.plugin.group, size=64)
            guidance.step(a_render(cameras)[0], cameras, encoded, step)

    @property
    def plugin(self) -> GuidancePlugin:
        return self.catalog.guidance.get(self.name)

    def make(self) -> Any:
        torch.manual_seed(0)
        return self.plugin.build(self.config, device="cpu")

    def test_it_judges_any_number_of_views_the_same_way_twice(self, tmp_path: Path) -> None:
        prompt = a_prompt(self.prompt, self.plugin.accepts, tmp_path)
        for groups in (1, 3):
            gradients = []
            for _ in range(2):
                guidance = self.make()
                encoded = guidance.encode(prompt)
                cameras = orbit(groups * self.plugin.group, size=64)
                render, images = a_render(cameras)
                guided = guidance.step(render, cameras, encoded, Step(2, 10))
                assert guided.loss.shape == ()
                assert bool(torch.isfinite(guided.loss))
                guided.loss.backward()
                assert images.grad is not None
                assert float(images.grad.abs().sum()) > 0
                gradients.append(images.grad)
            assert torch.equal(*gradients)

    def test_a_state_that_does_not_fit_is_refused(self) -> None:
        if not isinstance(self.make(), Trainable):
            raise SkipTest("it learns nothing")
        _assert_wrong_states_are_refused(self.make)

    def test_one_that_served_a_run_serves_the_next_as_a_new_one_does(self, tmp_path: Path) -> None:
        """A batch keeps guidances that learn nothing, and shares what they have loaded between stages."""
        used = self.make()
        if isinstance(used, Trainable) and (used.parameter_groups() or used.state_dict()):
            raise SkipTest("it learns, and is built anew for each run")
        prompt = a_prompt(self.prompt, self.plugin.accepts, tmp_path)
        for index in (0, 9):
            self._gradient(used, prompt, Step(index, 10, "first"))
        expected = self._gradient(self.make(), prompt, Step(2, 10, "next"))
        assert torch.equal(self._gradient(used, prompt, Step(2, 10, "next")), expected)
        if isinstance(used, Reconfigurable) and (other := used.with_config(self.config)) is not None:
            assert torch.equal(self._gradient(other, prompt, Step(2, 10, "next")), expected)

    def _gradient(self, guidance: Any, prompt: Prompt, step: Step) -> torch.Tensor:
        cameras = orbit(self.plugin.group, size=64)
        render, images = a_render(cameras)
        guidance.step(render, cameras, guidance.encode(prompt), step).loss.backward()
        assert images.grad is not None
        return images.grad


class CamerasContract(Contract):
    kind = "cameras"

    def exercise(self, config: Any) -> None:
        self.plugin.build(config, group=1).sample(Step(2, 10, "x"))

    @property
    def plugin(self) -> CamerasPlugin:
        return self.catalog.cameras.get(self.name)

    def test_a_step_has_its_own_cameras_that_see_the_object(self) -> None:
        sampler = self.plugin.build(self.config, group=1)
        first, again, other = (sampler.sample(Step(index, 10, "x")) for index in (2, 2, 3))
        assert len(first) >= 1
        assert torch.equal(first.pose, again.pose)
        assert not torch.equal(first.pose, other.pose)
        assert first.pose.shape[1:] == (4, 4)
        away = first.pose[:, :3, 3].norm(dim=-1)
        torch.testing.assert_close(away, first.distance)
        assert float(away.min()) > 1.0, "the object fills the unit ball"
        towards = -(first.pose[:, :3, 3] / away[:, None])
        assert float((towards * -first.pose[:, :3, 2]).sum(-1).min()) > 0.5, "they look past the object"

    def test_groups_are_whole(self) -> None:
        if not self.plugin.groups:
            raise SkipTest("it makes no groups")
        assert len(self.plugin.build(self.config, group=2).sample(Step(0, 10))) % 2 == 0

    def test_it_says_what_a_step_asks_of_others(self) -> None:
        work = self.plugin.ask("workload", self.config)
        if work is None:
            raise SkipTest("it does not say")
        assert isinstance(work, Workload)
        assert work.views == len(self.plugin.build(self.config, group=1).sample(Step(0, 10)))


class PenaltyContract(Contract):
    kind = "penalty"

    @property
    def plugin(self) -> PenaltyPlugin:
        return self.catalog.penalties.get(self.name)

    def test_it_is_a_finite_number_that_has_a_gradient(self) -> None:
        render, _ = a_render(orbit(2, size=16))
        field = FIELDS["surface" if "mesh" in self.plugin.needs else "volume"]()
        value = self.plugin.build()(render, field)
        assert value.shape == ()
        assert bool(torch.isfinite(value))
        assert value.requires_grad, "nothing would learn from it"

    def test_it_says_what_it_needs(self) -> None:
        """With that and colours alone it works."""
        render, _ = a_render(orbit(1, size=16))
        kept = {"rgb", "opacity", *self.plugin.needs}
        bare = replace(render, **{name: None for name in vars(render) if name not in kept})  # type: ignore[arg-type]
        assert bool(torch.isfinite(self.plugin.build()(bare, FIELDS["volume"]())))


class OptimizerContract(Contract):
    kind = "optimizer"

    def exercise(self, config: Any) -> None:
        parameter = torch.nn.Parameter(torch.linspace(-1, 1, 12))
        _descend(parameter, self.plugin.build(config, [{"params": [parameter], "lr": 0.01}]), 2)

    @property
    def plugin(self) -> OptimizerPlugin:
        return self.catalog.optimizers.get(self.name)

    def make(self) -> tuple[Tensor, torch.optim.Optimizer]:
        parameter = torch.nn.Parameter(torch.linspace(-1, 1, 12).view(3, 4))
        return parameter, self.plugin.build(self.config, [{"params": [parameter], "lr": 0.01}])

    def test_it_goes_downhill(self) -> None:
        parameter, optimizer = self.make()
        before = float(parameter.detach().square().sum())
        _descend(parameter, optimizer, 20)
        assert float(parameter.detach().square().sum()) < before

    def test_it_goes_on_as_if_it_had_never_stopped(self) -> None:
        whole, first = self.make()
        _descend(whole, first, 3)
        half, second = self.make()
        half.data.copy_(whole.detach())
        restore_optimizer(second, optimizer_tensors(first))
        _descend(whole, first, 2)
        _descend(half, second, 2)
        assert torch.equal(whole, half)

    def test_moments_that_do_not_fit_are_refused(self) -> None:
        parameter, optimizer = self.make()
        _descend(parameter, optimizer, 1)
        right = optimizer_tensors(optimizer)
        wrong = [("belongs to no parameter", {"1.x": torch.zeros(3, 4)}), ("has no number", {"x.y": torch.zeros(3, 4)})]
        for name, tensor in right.items():
            wrong += [(f"has a `{name}` that is larger", {**right, name: torch.zeros(300, 400)})]
            wrong += [(f"has a `{name}` that is no number", {**right, name: torch.full_like(tensor, float("nan"))})]
        for how, state in wrong:
            try:
                restore_optimizer(self.make()[1], state)
            except ValueError:
                continue
            raise AssertionError(f"it took a state that {how}")

    def test_a_rate_of_zero_changes_nothing(self) -> None:
        parameter, optimizer = self.make()
        before = parameter.detach().clone()
        for group in optimizer.param_groups:
            group["lr"] = 0.0
        _descend(parameter, optimizer, 1)
        assert torch.equal(parameter, before)


def _descend(parameter: Tensor, optimizer: torch.optim.Optimizer, steps: int) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        parameter.square().sum().backward()  # type: ignore[no-untyped-call]
        optimizer.step()


class SourceContract(Contract):
    kind = "source"
    prompt: ClassVar[str] = "a red car"

    def exercise(self, config: Any) -> None:
        with TemporaryDirectory() as folder:
            self.plugin.build(config, device="cpu").make(a_prompt(self.prompt, self.plugin.accepts, Path(folder)), 3)

    @property
    def plugin(self) -> SourcePlugin:
        return self.catalog.sources.get(self.name)

    def test_a_seed_makes_what_its_record_says_and_the_same_again(self, tmp_path: Path) -> None:
        prompt = a_prompt(self.prompt, self.plugin.accepts, tmp_path)
        first, second = (self.plugin.build(self.config, device="cpu").make(prompt, 3) for _ in range(2))
        if self.plugin.makes == "state":
            assert isinstance(first, dict)
            assert isinstance(second, dict)
            assert first.keys() == second.keys()
            assert all(torch.equal(first[key], second[key]) for key in first)
            return
        assert isinstance(first, Asset)
        assert isinstance(second, Asset)
        assert first.kind == self.plugin.makes
        if isinstance(first, MeshAsset) and isinstance(second, MeshAsset):
            assert len(first.mesh.faces) > 0
            assert np.array_equal(first.mesh.vertices, second.mesh.vertices)


class ImporterContract(Contract):
    """Give `write(path)` where no installed exporter writes what it reads."""

    kind = "importer"

    def exercise(self, config: Any) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder, f"asset{self.plugin.suffixes[0]}")
            self.write(path)
            self.plugin.build(config).read(path)

    @property
    def plugin(self) -> ImporterPlugin:
        return self.catalog.importers.get(self.name)

    def write(self, path: Path) -> None:
        """A file that it can read, by an exporter for the same name."""
        for exporter in self.catalog.exporters:
            if path.suffix in exporter.suffixes:
                exporter.build(exporter.config()).write(an_asset(exporter.takes), path)
                if not self.plugin.recognises or self.plugin.ask("recognises", path):
                    return
        raise SkipTest(f"no exporter writes {path.suffix} files for it")

    def test_it_reads_its_files(self, tmp_path: Path) -> None:
        path = tmp_path / f"asset{self.plugin.suffixes[0]}"
        self.write(path)
        asset = self.plugin.build(self.config).read(path)
        assert isinstance(asset, Asset)
        assert asset.kind

    def test_rubbish_is_refused_with_a_hint(self, tmp_path: Path) -> None:
        for content in (b"", b"\xff\x00rubbish" * 20):
            path = tmp_path / f"rubbish{self.plugin.suffixes[0]}"
            path.write_bytes(content)
            refusal = _refusal(self.plugin.build(self.config), path)
            assert refusal is not None, "it read rubbish"
            assert str(path) in refusal.message
            assert refusal.hint


def _refusal(importer: Importer, path: Path) -> Df3dError | None:
    try:
        importer.read(path)
    except Df3dError as error:
        return error
    return None


class ExporterContract(Contract):
    kind = "exporter"

    def exercise(self, config: Any) -> None:
        with TemporaryDirectory() as folder:
            self.plugin.build(config).write(an_asset(self.plugin.takes), Path(folder, f"asset{self.plugin.suffixes[0]}"))

    @property
    def plugin(self) -> ExporterPlugin:
        return self.catalog.exporters.get(self.name)

    def test_it_writes_its_file_first_and_replaces_an_old_one(self, tmp_path: Path) -> None:
        plugin = self.plugin
        path = tmp_path / f"asset{plugin.suffixes[0]}"
        path.write_text("old")
        files = plugin.build(self.config).write(an_asset(plugin.takes), path)
        assert files[0] == path
        assert all(file.is_file() and file.stat().st_size > 0 for file in files)
        assert path.read_bytes() != b"old"
        assert sorted(files) == sorted(tmp_path.iterdir())
        allowed = {path.name, *(name.format(stem=path.stem) for name in plugin.side_files)}
        assert {file.name for file in files} <= allowed, "its record does not name a file that it writes"

    def test_what_it_writes_can_be_read_back(self, tmp_path: Path) -> None:
        plugin = self.plugin
        if not any(plugin.suffixes[0] in importer.suffixes for importer in self.catalog.importers):
            raise SkipTest(f"nothing reads {plugin.suffixes[0]} files")
        path, asset = tmp_path / f"asset{plugin.suffixes[0]}", an_asset(plugin.takes)
        plugin.build(self.config).write(asset, path)
        again = read(path, self.catalog)
        assert again.kind == asset.kind
        if isinstance(again, MeshAsset):
            assert len(again.mesh.faces) == len(a_mesh().mesh.faces)


class ScorerContract(Contract):
    kind = "scorer"
    prompt: ClassVar[str] = "a red car"

    def exercise(self, config: Any) -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder, "asset.glb")
            path.touch()
            subject = TargetSubject(Target(path, self.prompt), self.catalog, views=4, asset=an_asset(self.plugin.takes))
            self.plugin.build(config, device="cpu").score(subject)

    @property
    def plugin(self) -> ScorerPlugin:
        return self.catalog.scorers.get(self.name)

    def test_its_measures_are_numbers_and_the_same_twice(self, tmp_path: Path) -> None:
        path = tmp_path / "asset.glb"
        path.touch()
        first, second = (self._scored(path) for _ in range(2))
        assert first == second
        assert all(np.isfinite(value) for value in first.values())
        assert {*self.plugin.headline, *self.plugin.lower} <= set(first)

    def _scored(self, path: Path) -> dict[str, float]:
        subject = TargetSubject(Target(path, self.prompt), self.catalog, views=4, asset=an_asset(self.plugin.takes))
        return self.plugin.build(self.config, device="cpu").score(subject)


class LauncherContract(Contract):
    """It starts workers, or says how; `starts` is False for one that leaves the starting to others."""

    kind = "launcher"
    starts: ClassVar[bool] = True

    @property
    def plugin(self) -> LauncherPlugin:
        return self.catalog.launchers.get(self.name)

    def test_it_starts_as_many_workers_as_it_is_told_and_they_end(self) -> None:
        try:
            self.plugin.ask("ready", self.config)
        except Df3dError as error:
            raise SkipTest(f"it cannot work here: {error.message}") from None
        workers = self.plugin.build(self.config).start([sys.executable, "-c", "pass"], 2, {"DF3D_X": "1"})
        assert len(workers) == 2
        until = time.monotonic() + 120
        while any(worker.poll() is None for worker in workers) and time.monotonic() < until:
            time.sleep(0.05)
        assert [worker.poll() for worker in workers] == [0, 0]


CONTRACTS: dict[str, type[Contract]] = {contract.kind: contract for contract in Contract.__subclasses__()}
assert set(CONTRACTS) == set(KINDS)
