"""What does not fit is refused, with the part and the reason, before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from df3d import CamerasPlugin, ExporterPlugin, FieldPlugin, GuidancePlugin, SourcePlugin, hookimpl, option
from df3d.errors import ConfigError, Df3dError, ModelError, PluginError, PromptError
from df3d.plugin.catalog import Catalog
from df3d.prompt import Picture, Prompt
from df3d.recipe.checks import check_prompt, check_ready, starts_from_mesh, words
from df3d.recipe.compose import compose
from df3d.recipe.recipe import from_table


@dataclass(frozen=True, kw_only=True)
class Picky:
    solid: bool = option(False, "look at the mesh too")


def needs_of(config: Picky) -> frozenset[str]:
    return frozenset({"mesh"} if config.solid else set())


def remark(text: str, config: object) -> list[str]:
    return [f"a remark on `{text}`"]


def unasked(text: str, config: object) -> list[str]:
    raise AssertionError("it reads no text")


def absent(config: object) -> None:
    raise ModelError("its model is not here")


class Offers:
    """Parts that fit in some ways and not in others; none is ever loaded."""

    @hookimpl
    def df3d_fields(self) -> Iterator[FieldPlugin]:
        yield FieldPlugin(name="cloud", summary="A cloud", target="x:y", provides=frozenset({"points"}))
        yield FieldPlugin(
            name="fog", summary="Fog", target="x:y", provides=frozenset({"volume"}), starts_from=frozenset({"points"})
        )
        yield FieldPlugin(
            name="shell", summary="Shell", target="x:y", provides=frozenset({"volume"}), starts_from=frozenset({"surface"})
        )

    @hookimpl
    def df3d_guidance(self) -> Iterator[GuidancePlugin]:
        yield GuidancePlugin(name="deep", summary="Depth", target="x:y", needs=frozenset({"mesh"}))
        for name, group in (("pairs", 2), ("fours", 4)):
            yield GuidancePlugin(name=name, summary="Groups", target="x:y", group=group)
        looks = f"{__name__}:unasked"
        yield GuidancePlugin(name="looks", summary="Pictures", target="x:y", accepts=frozenset({"image"}), check=looks)
        yield GuidancePlugin(name="feels", summary="Meshes", target="x:y", accepts=frozenset({"mesh"}))
        yield GuidancePlugin(name="picky", summary="More", target="x:y", config=Picky, needs_with=f"{__name__}:needs_of")
        yield GuidancePlugin(name="talks", summary="Remarks", target="x:y", check=f"{__name__}:remark")
        yield GuidancePlugin(name="away", summary="Not here", target="x:y", ready=f"{__name__}:absent")

    @hookimpl
    def df3d_cameras(self) -> Iterator[CamerasPlugin]:
        yield CamerasPlugin(name="lone", summary="One", target="x:y")

    @hookimpl
    def df3d_sources(self) -> Iterator[SourcePlugin]:
        yield SourcePlugin(name="whole", summary="A mesh", target="x:y", makes="mesh")
        yield SourcePlugin(name="state", summary="A state", target="x:y", makes="state")
        yield SourcePlugin(name="dusty", summary="Dust", target="x:y", makes="dust")
        yield SourcePlugin(name="ashen", summary="Ash", target="x:y", makes="ash")

    @hookimpl
    def df3d_exporters(self) -> Iterator[ExporterPlugin]:
        dust = frozenset({"dust"})
        yield ExporterPlugin(name="dustpan", summary="Dust", target="x:y", suffixes=(".dust",), takes=dust, usual_for=dust)


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    found = Catalog.discover()
    found.add(Offers())
    return found


def stage(**changes: object) -> dict[str, object]:
    table: dict[str, object] = {"name": "one", "steps": 3, "field": {"use": "hashgrid"}, "renderer": {"use": "raymarch"}}
    table |= {"guidance": {"use": "toybox"}, **changes}
    return {key: value for key, value in table.items() if value is not None}


def source(**changes: object) -> dict[str, object]:
    return {"name": "one", "source": {"use": "whole"}, **changes}


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ([stage(field={"use": "cloud"})], "renderer `raymarch` in stage `one` needs a field with volume; `cloud` has points"),
        ([stage(guidance={"use": "deep"})], "guidance `deep` in stage `one` needs mesh from the renderer; `raymarch` puts out"),
        (
            [stage(penalties={"laplacian": 1.0})],
            "`one.penalties.laplacian` needs mesh from the renderer, which `raymarch` does not",
        ),
        ([stage(penalties={"lapacian": 1.0})], "unknown key `one.penalties.lapacian`: there is no penalty `lapacian`"),
        ([stage(guidance=[{"use": "pairs"}, {"use": "fours"}])], "judge groups of 2, 4 views, which cannot be one batch"),
        ([stage(guidance={"use": "pairs"}, cameras={"use": "lone"})], "cameras `lone` in stage `one` make no groups of views"),
        ([stage(start_from="two")], "`one.start_from` names no earlier stage: `two`"),
        (
            [stage(), stage(name="two", start_from="one", field={"use": "fog"})],
            "field `fog` cannot start from `hashgrid`: it takes points",
        ),
        (
            [source(), stage(name="two", start_from="one", field={"use": "fog"})],
            "field `fog` cannot start from `whole`: it takes points",
        ),
        ([stage(), source(name="two", start_from="one")], "stage `two` has no field that could start from another"),
        ([stage(guidance={"use": "picky", "solid": True})], "guidance `picky` in stage `one` needs mesh from the renderer"),
        ([stage(guidance={"use": "toybox", "scale": "x"})], "`one.guidance.scale` must be a number"),
        ([stage(guidance=[{"use": "toybox", "scale": "x"}, {"use": "looks"}])], "`one.guidance.toybox.scale` must be a number"),
        ([source(guidance={"use": "toybox"})], "stage `one` has both a source and guidance"),
        ([source(source=[{"use": "whole"}, {"use": "dusty"}])], "`one.source` names several sources"),
        ([source(source={"use": "ashen"})], "no exporter offers itself for ash"),
        ([source(field={"use": "hashgrid"})], "source `whole` of stage `one` makes mesh"),
        ([source(source={"use": "state"})], "source `state` of stage `one` makes the state of a field"),
        ([source(steps=3)], "stage `one` has both a source and steps"),
        ([stage(guidance=[])], "`one.guidance` is empty"),
        ([stage(guidance=[{"use": "toybox"}, {"use": "toybox"}])], "`one.guidance` names `toybox` twice"),
        ([stage(guidance={"use": "toybox", "weight": "much"})], "`one.guidance.weight` must be a number"),
        ([stage(guidance=None)], "`one.guidance` is missing"),
        ([stage(), stage()], "two stages are called `one`"),
    ],
)
def test_a_stage_that_does_not_fit_is_refused(catalog: Catalog, stages: list[dict[str, object]], message: str) -> None:
    with pytest.raises(Df3dError) as error:
        compose(from_table({"stage": stages}), catalog)
    assert message in error.value.message
    assert error.value.hint or "must be" in error.value.message


def test_pictures_are_for_those_that_accept_them(catalog: Catalog, tmp_path: Path) -> None:
    text, both = Prompt("a red car"), Prompt("a red car", pictures=(Picture(tmp_path / "a.png"),))
    plain = compose(from_table({"stage": [stage()]}), catalog)
    looks = compose(from_table({"stage": [stage(guidance=[{"use": "toybox"}, {"use": "looks"}])]}), catalog)
    assert check_prompt(plain, text) == []
    assert check_prompt(looks, both) == []
    with pytest.raises(PromptError, match="guidance `looks` needs a picture"):
        check_prompt(looks, text)
    with pytest.raises(PromptError, match="can use a picture: `toybox` takes negative, text"):
        check_prompt(plain, both)
    with pytest.raises(PromptError, match="can use a start mesh"):
        check_prompt(plain, Prompt("a red car", mesh=tmp_path / "a.glb"))


def test_half_a_camera_is_none(tmp_path: Path) -> None:
    for angles in ((3.0, None), (None, 3.0), (0.0, 91.0), (1000.0, 0.0)):
        with pytest.raises(PromptError):
            Picture(tmp_path / "a.png", *angles)


@pytest.mark.parametrize(
    "stages",
    [
        [stage(guidance=[{"use": "pairs"}, {"use": "toybox"}])],  # one that takes single views takes pairs too
        [stage(cameras={"use": "lone"})],
        [stage(guidance={"use": "picky"})],
        [source(), stage(name="two", start_from="one", field={"use": "shell"})],  # a mesh is a surface
    ],
)
def test_a_stage_that_fits_is_taken(catalog: Catalog, stages: list[dict[str, object]]) -> None:
    assert len(compose(from_table({"stage": stages}), catalog).stages) == len(stages)


def test_the_exporter_is_that_of_the_last_stage(catalog: Catalog) -> None:
    dust = source(name="two", source={"use": "dusty"})
    assert compose(from_table({"stage": [source(), dust]}), catalog).exporter.name == "dustpan"
    assert compose(from_table({"stage": [dust, source()]}), catalog).exporter.name == "glb"
    assert compose(from_table({"stage": [dust, source()], "export": {"format": "stl"}}), catalog).exporter.name == "stl"
    with pytest.raises(PluginError, match="exporter `glb` takes mesh; source `dusty` of stage `two` makes dust"):
        compose(from_table({"stage": [source(), dust], "export": {"format": "glb"}}), catalog)


def test_each_remark_on_a_prompt_is_made_once_and_by_those_who_read_it(catalog: Catalog, tmp_path: Path) -> None:
    both = [stage(guidance=[{"use": "talks"}, {"use": "looks"}]), stage(name="two", guidance={"use": "talks"})]
    prompt = Prompt("a red car", pictures=(Picture(tmp_path / "a.png"),))
    assert check_prompt(compose(from_table({"stage": both}), catalog), prompt) == ["a remark on `a red car`"]


@pytest.mark.parametrize(("name", "lacking", "option"), [("looks", "a picture", "--image"), ("feels", "a mesh", "--mesh")])
def test_what_a_prompt_lacks_is_named_with_its_option(catalog: Catalog, name: str, lacking: str, option: str) -> None:
    plan = compose(from_table({"stage": [stage(guidance=[{"use": "toybox"}, {"use": name}])]}), catalog)
    with pytest.raises(PromptError, match=f"guidance `{name}` needs {lacking}, and the prompt has none") as error:
        check_prompt(plan, Prompt("a red car"))
    assert error.value.hint == f"give one with {option} FILE"


def test_a_start_mesh_is_for_the_first_stage_alone(catalog: Catalog, tmp_path: Path) -> None:
    prompt, shell = Prompt("a red car", mesh=tmp_path / "a.glb"), {"use": "shell"}
    assert check_prompt(compose(from_table({"stage": [stage(field=shell)]}), catalog), prompt) == []
    assert check_prompt(compose(from_table({"stage": [stage(field=shell), stage(name="two")]}), catalog), prompt) == []
    with pytest.raises(PromptError, match="can use a start mesh"):
        check_prompt(compose(from_table({"stage": [stage(), stage(name="two", field=shell)]}), catalog), prompt)


def test_a_stage_that_starts_from_another_takes_no_mesh(catalog: Catalog) -> None:
    whole = compose(from_table({"stage": [source(), stage(name="two", start_from="one", field={"use": "shell"})]}), catalog)
    alone = compose(from_table({"stage": [stage(field={"use": "shell"}), stage(name="two")]}), catalog)
    assert [starts_from_mesh(one) for one in (*whole.stages, *alone.stages)] == [False, False, True, False]


def test_every_stage_has_to_be_ready(catalog: Catalog) -> None:
    check_ready(compose(from_table({"stage": [stage(), stage(name="two")]}), catalog))
    with pytest.raises(ModelError, match="its model is not here"):
        check_ready(compose(from_table({"stage": [stage(), stage(name="two", guidance={"use": "away"})]}), catalog))


def test_an_earlier_stage_is_looked_for_by_its_nearest_name(catalog: Catalog) -> None:
    with pytest.raises(ConfigError) as error:
        compose(from_table({"stage": [stage(name="coarse"), stage(name="two", start_from="corse")]}), catalog)
    assert error.value.hint == "did you mean `coarse`?"


def test_names_are_told_in_one_order() -> None:
    assert words(["b", "a"]) == "a, b"
    assert words([]) == "nothing"


def test_a_stage_needs_colours_and_what_its_guidances_look_at(catalog: Catalog) -> None:
    plain = compose(from_table({"stage": [stage(guidance={"use": "picky"})]}), catalog).stages[0]
    assert (plain.needs, plain.group) == ({"rgb", "opacity"}, 1)
    surface = {"field": {"use": "tets"}, "renderer": {"use": "raster"}}
    solid = stage(**surface, guidance=[{"use": "pairs"}, {"use": "picky", "solid": True}])
    found = compose(from_table({"stage": [solid]}), catalog).stages[0]
    assert (found.needs, found.group) == ({"rgb", "opacity", "mesh"}, 2)
    assert compose(from_table({"stage": [source()]}), catalog).stages[0].group == 1
