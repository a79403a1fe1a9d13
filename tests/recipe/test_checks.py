"""What does not fit is refused, with the part and the reason, before anything is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from df3d import CamerasPlugin, FieldPlugin, GuidancePlugin, SourcePlugin, hookimpl
from df3d.errors import Df3dError, PromptError
from df3d.plugin.catalog import Catalog
from df3d.prompt import Picture, Prompt
from df3d.recipe.checks import check_prompt
from df3d.recipe.compose import compose
from df3d.recipe.recipe import from_table


class Offers:
    """Parts that fit in some ways and not in others; none is ever loaded."""

    @hookimpl
    def df3d_fields(self) -> Iterator[FieldPlugin]:
        yield FieldPlugin(name="cloud", summary="A cloud", target="x:y", provides=frozenset({"points"}))
        yield FieldPlugin(
            name="fog", summary="Fog", target="x:y", provides=frozenset({"volume"}), starts_from=frozenset({"points"})
        )

    @hookimpl
    def df3d_guidance(self) -> Iterator[GuidancePlugin]:
        yield GuidancePlugin(name="deep", summary="Depth", target="x:y", needs=frozenset({"mesh"}))
        for name, group in (("pairs", 2), ("fours", 4)):
            yield GuidancePlugin(name=name, summary="Groups", target="x:y", group=group)
        yield GuidancePlugin(name="looks", summary="Pictures", target="x:y", accepts=frozenset({"image"}))

    @hookimpl
    def df3d_cameras(self) -> Iterator[CamerasPlugin]:
        yield CamerasPlugin(name="lone", summary="One", target="x:y")

    @hookimpl
    def df3d_sources(self) -> Iterator[SourcePlugin]:
        yield SourcePlugin(name="whole", summary="A mesh", target="x:y", makes="mesh")
        yield SourcePlugin(name="state", summary="A state", target="x:y", makes="state")


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
