"""What a record may say, and what is worked out from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from df3d import ExporterPlugin, FieldPlugin, GuidancePlugin, ImporterPlugin, PenaltyPlugin, RendererPlugin, ScorerPlugin, option
from df3d.errors import PluginError
from df3d.plugin.records import Component, Workload, check, load_target
from df3d.types import Output

SAID: dict[str, Any] = {"name": "red", "summary": "Nothing", "target": "x:y"}


@dataclass(frozen=True)
class Bare:
    size: int = field(metadata={"help": "how large"})


@dataclass(frozen=True)
class Options:
    deep: bool = option(False, "look at the depth too")


def depth_of(config: Options) -> frozenset[Output]:
    return frozenset({"depth"} if config.deep else set())


def test_rays_are_the_pixels_of_all_views() -> None:
    assert Workload(3, 5).rays == 75


@pytest.mark.parametrize(
    ("provides", "makes"),
    [({"volume"}, {"mesh"}), ({"surface"}, {"mesh"}), ({"dust"}, {"dust"}), ({"volume", "dust"}, {"mesh", "dust"})],
)
def test_what_a_field_can_become(provides: set[str], makes: set[str]) -> None:
    assert FieldPlugin(**SAID, provides=frozenset(provides)).makes == makes


def test_what_a_guidance_needs_with_an_option_comes_on_top() -> None:
    part = GuidancePlugin(**SAID, config=Options, needs_with=f"{__name__}:depth_of")
    assert part.needed(Options()) == {"rgb"}
    assert part.needed(Options(deep=True)) == {"rgb", "depth"}
    assert GuidancePlugin(**SAID).needed(None) == {"rgb"}


def test_what_a_record_leaves_out() -> None:
    assert RendererPlugin(**SAID, needs=frozenset()).outputs == {"rgb", "opacity"}
    assert GuidancePlugin(**SAID).accepts == {"text", "negative"}
    exporter = ExporterPlugin(**SAID, suffixes=(".x",))
    assert (exporter.takes, exporter.usual_for, exporter.side_files) == ({"mesh"}, set(), ())
    assert (ScorerPlugin(**SAID, headline=("one",)).takes, ScorerPlugin(**SAID, headline=("one",)).lower) == ({"mesh"}, set())


def test_a_question_that_a_record_does_not_answer_is_none() -> None:
    assert GuidancePlugin(**SAID).ask("ready", None) is None
    assert PenaltyPlugin(**SAID).ask("check", "a text", None) is None


@pytest.mark.parametrize(
    ("record", "wrong"),
    [
        (PenaltyPlugin(**{**SAID, "name": "Red"}), "its name must be of small letters"),
        (PenaltyPlugin(**{**SAID, "name": "-red"}), "its name must be of small letters"),
        (PenaltyPlugin(**{**SAID, "summary": ""}), "it has no summary"),
        (PenaltyPlugin(**{**SAID, "target": "x.y"}), "`target` must be text as in"),
        (PenaltyPlugin(**SAID, config=Bare), "option `size` has no default"),
        (PenaltyPlugin(**SAID, ready="x"), "`ready` must be text as in"),
        (PenaltyPlugin(**SAID, memory="x"), "`memory` must be text as in"),
        (GuidancePlugin(**SAID, needs_with="x"), "`needs_with` must be text as in"),
        (GuidancePlugin(**SAID, check="x"), "`check` must be text as in"),
        (ImporterPlugin(**SAID, suffixes=(".x",), recognises="x"), "`recognises` must be text as in"),
        (GuidancePlugin(**SAID, needs=frozenset({"odour"})), "no render has `odour`"),  # type: ignore[arg-type]
        (RendererPlugin(**SAID, needs=frozenset(), outputs=frozenset({"odour"})), "no render has `odour`"),  # type: ignore[arg-type]
        (GuidancePlugin(**SAID, accepts=frozenset({"sound"})), "`accepts` cannot be `sound`"),
        (GuidancePlugin(**SAID, group=0), "`group` must be at least 1"),
        (GuidancePlugin(**SAID, needs={"rgb"}), "`needs` must be a frozenset of texts"),  # type: ignore[arg-type]
        (FieldPlugin(**SAID, provides=frozenset({3})), "`provides` must be a frozenset of texts"),  # type: ignore[arg-type]
        (ExporterPlugin(**SAID, suffixes=()), "`suffixes` must be file name endings"),
        (ExporterPlugin(**SAID, suffixes=("x",)), "`suffixes` must be file name endings"),
        (ExporterPlugin(**SAID, suffixes=(".X",)), "`suffixes` must be file name endings"),
        (ExporterPlugin(**SAID, suffixes=".x"), "`suffixes` must be a tuple of texts"),  # type: ignore[arg-type]
        (ExporterPlugin(**SAID, suffixes=[".x"]), "`suffixes` must be a tuple of texts"),  # type: ignore[arg-type]
        (ScorerPlugin(**SAID, headline=(3,)), "`headline` must be a tuple of texts"),  # type: ignore[arg-type]
    ],
)
def test_a_record_that_says_something_impossible_is_refused(record: Component, wrong: str) -> None:
    with pytest.raises(PluginError) as error:
        check(record, record.kind)
    assert error.value.message.startswith(f"{record.kind} `{record.name}`: {wrong}")


@pytest.mark.parametrize(
    "record",
    [
        FieldPlugin(**SAID, provides=frozenset({"dust"}), starts_from=frozenset({"ash"})),  # words that df3d does not know
        RendererPlugin(**SAID, needs=frozenset({"dust"}), outputs=frozenset({"rgb", "mesh", "background"})),
        GuidancePlugin(**SAID, accepts=frozenset({"text", "negative", "image", "mesh"}), group=1),
        ExporterPlugin(**SAID, suffixes=(".tar.gz", ".3ds")),
        PenaltyPlugin(**{**SAID, "name": "3-red_x", "target": "a.b_c.d:E"}),
    ],
)
def test_a_record_that_is_right_is_taken(record: Component) -> None:
    assert check(record, record.kind) is record


def test_a_target_that_cannot_be_loaded_is_said_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(PluginError, match="^red cannot be loaded: No module named 'no_such_module'$") as error:
        load_target("no_such_module:x", "red")
    assert "\n" not in error.value.message
    with pytest.raises(PluginError, match="^red cannot be loaded: .*nothing_of_the_kind"):
        load_target(f"{__name__}:nothing_of_the_kind", "red")
    for code, reason in (
        ("raise ValueError('one\\ntwo')", "one"),
        ("raise ValueError", "ValueError"),
        ("raise SystemExit", "SystemExit"),
    ):
        (tmp_path / f"broken_{reason}.py".lower()).write_text(code)
        with pytest.raises(PluginError, match=f"^red cannot be loaded: {reason}$"):
            load_target(f"broken_{reason}:x".lower(), "red")
