"""A user's folder: its captions, and what is found in it before anything is trained."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import shelf
import trimesh
from command import df3d
from df3d_prior import check, library
from df3d_prior.library import load, read_entries, typical
from df3d_prior.objects import Object
from PIL import Image

from df3d import load as df3d_load
from df3d.errors import ConfigError, Df3dError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return shelf.make(tmp_path / "library")


def look(folder: Path) -> list[check.Checked]:
    return check.check(folder, (".glb", ".ply"), df3d_load)


def found(folder: Path) -> dict[str, check.Checked]:
    return {one.entry.path: one for one in look(folder)}


def test_each_row_has_a_word_of_its_own(folder: Path) -> None:
    with (folder / "captions.csv").open("a") as file:
        file.write("red_box.glb,box,a box again,,x\n")
    words = [entry.word for entry in read_entries(folder)]
    assert words == ["box/0", "ball/0", "post/0", "table/0", "box/1"]


def test_the_plainest_comes_first(folder: Path) -> None:
    (folder / "captions.csv").write_text("path,noun,caption\na,box,a {colour} box\nb,box,a small old box\nc,box,a red box\n")
    assert [entry.path for entry in typical(read_entries(folder))] == ["c", "b", "a"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "there is no `captions.csv`"),
        ("path,noun\nred_box.glb,box\n", "has no column `caption`"),
        ("", "has no column `caption`"),
        ("path,noun,caption\nred_box.glb,box\n", "line 2"),
        ("path,noun,caption\n,box,a box\n", "line 2"),
        ("path,noun,caption\nred_box.glb,,a box\n", "line 2"),
        ("path,noun,caption\nred_box.glb,box,a box\nred_box.glb,box,a box\n", "line 3"),
        ("path,noun,caption\nmissing.glb,box,a box\n", "missing.glb"),
        ("path,noun,caption\n../red_box.glb,box,a box\n", "leads out"),
    ],
)
def test_captions_that_cannot_be_used_are_refused_in_one_sentence(folder: Path, text: str | None, message: str) -> None:
    path = folder / "captions.csv"
    path.unlink()
    if text is not None:
        path.write_text(text)
    with pytest.raises(Df3dError, match=message) as error:
        load(folder)
    assert "\n" not in error.value.message
    assert error.value.hint


def test_captions_that_are_no_text_are_refused(folder: Path) -> None:
    (folder / "captions.csv").write_bytes(b"\xff\xfe\x00path")
    with pytest.raises(ConfigError, match="captions.csv"):
        read_entries(folder)


def test_a_folder_without_meshes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no mesh in"):
        look(tmp_path)
    with pytest.raises(ConfigError, match="there is no folder"):
        look(tmp_path / "nowhere")


def test_what_cannot_be_used_and_what_is_doubtful_is_found(folder: Path) -> None:
    (folder / "torn.glb").write_bytes(b"glTF\x02\x00")
    (folder / "empty.ply").write_text(
        "ply\nformat ascii 1.0\nelement vertex 0\nproperty float x\nproperty float y\nproperty float z\nend_header\n"
    )
    pair = trimesh.util.concatenate(
        [trimesh.creation.box((1, 1, 1)), trimesh.creation.box((1, 1, 1), trimesh.transformations.translation_matrix((4, 0, 0)))]
    )
    pair.export(folder / "pair.glb")
    trimesh.load(folder / "blue_ball.glb").export(folder / "ball_again.glb")
    with (folder / "captions.csv").open("a") as file:
        file.write("gone.glb,chest,a chest,object,gone\n")
    got = found(folder)
    assert got["torn.glb"].problem
    assert got["empty.ply"].problem
    assert "no file" in got["gone.glb"].problem
    assert any("2 objects in one file" in doubt for doubt in got["pair.glb"].doubts)
    assert any("looks the same as `blue_ball.glb`" in doubt for doubt in got["ball_again.glb"].doubts)
    assert not got["red_box.glb"].problem
    assert not got["red_box.glb"].doubts
    assert got["red_box.glb"].written
    assert not got["pair.glb"].written


def test_more_faces_than_can_be_drawn_are_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "MOST_FACES", 100)
    monkeypatch.setattr(library, "MOST_FACES", 100)
    got = found(folder)
    with pytest.raises(Df3dError, match=r"blue_ball.glb` has 320 faces"):
        load(folder)
    assert "320 faces" in got["blue_ball.glb"].problem
    assert not got["red_box.glb"].problem


def test_an_object_that_looks_sideways_is_doubted(tmp_path: Path) -> None:
    parts = [
        trimesh.creation.box((2.0, 0.4, 0.4)),
        trimesh.creation.box((0.4, 0.9, 0.4), trimesh.transformations.translation_matrix((0.9, 0.5, 0))),
    ]
    trimesh.util.concatenate(parts).export(tmp_path / "horse.glb")  # its head along +X
    assert any("front may be at its side" in doubt for doubt in found(tmp_path)["horse.glb"].doubts)


@pytest.mark.parametrize(
    ("stem", "noun", "details"),
    [
        ("Treasure_Chest-02", "treasure chest", ()),
        ("old_ferris_wheel", "ferris wheel", ("old",)),
        ("FireHydrants_red", "fire hydrant", ("red",)),
        ("iron_chest", "chest", ("iron",)),
        ("swordLong", "sword", ("long",)),
        ("SM_Barrel_old_barrel", "barrel", ("sm", "old")),
        ("knives", "knife", ()),
        ("nes_controller", "controller", ("nes",)),
        ("0001", "object", ()),
        ("my red chair", "chair", ("red",)),
        ("große_Truhe chest", "chest", ("große", "truhe")),
    ],
)
def test_captions_come_of_file_names(stem: str, noun: str, details: tuple[str, ...]) -> None:
    found = check.from_name(stem)
    assert found[0] == noun
    assert set(found[1]) == set(details)


def test_the_page_the_table_and_the_lines(tmp_path: Path) -> None:
    shelf.make(tmp_path / "library", captions=False)
    done = df3d("prior", "check", "library", "--write", "--json", where=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert {row["caption"] for row in rows} >= {"a red box", "a blue ball"}
    assert "have no caption" not in done.stderr  # they have one now
    page = (tmp_path / "library-check.html").read_text()
    assert page.count("<img") == len(shelf.OBJECTS)
    assert "4 of 4 objects can be used" in page
    assert {entry.noun for entry in read_entries(tmp_path / "library")} == {"box", "ball", "post", "slab"}
    again = df3d("prior", "check", "library", where=tmp_path)
    assert again.returncode == 0
    assert "have no caption" not in again.stderr


def test_what_a_person_wrote_into_the_captions_stays(tmp_path: Path) -> None:
    """Rows of files that are not there, other columns and categories, and a last line without its end."""
    folder, path = shelf.make(tmp_path / "library", captions=False), tmp_path / "library" / "captions.csv"
    mine = "path,noun,caption,category,licence\nred_box.glb,Box,a red box,Object,CC0\nlost.glb,chair,a lost chair,,CC-BY"
    path.write_text(mine)
    done = df3d("prior", "check", "library", "--write", where=tmp_path)
    assert "added 3 rows" in done.stderr
    text = path.read_text()
    assert text.startswith(mine + "\n")
    assert {row["path"] for row in csv.DictReader(text.splitlines())} == {"lost.glb", *(file for file, *_ in shelf.OBJECTS)}
    df3d("prior", "check", "library", "--write", where=tmp_path)
    assert path.read_text() == text
    assert "lost.glb" in found(folder)


def test_pictures_on_the_page_show_the_object(folder: Path) -> None:
    drawn = found(folder)["red_box.glb"].drawn
    assert drawn is not None
    assert drawn.shape == (4, check.PICTURE, check.PICTURE, 3)
    red, green = drawn[0, check.PICTURE // 2, check.PICTURE // 2, :2]
    assert red > 2 * green
    assert Image.fromarray((drawn[0] * 255).astype(np.uint8)).size == (check.PICTURE, check.PICTURE)


def checked(path: str, *colors: str, problem: str = "", doubts: tuple[str, ...] = (), written: bool = True) -> check.Checked:
    entry = library.Entry(path, Path(path).stem, f"a <{Path(path).stem}>", path)
    return check.Checked(entry, problem, doubts, 12, colors, written)


@pytest.mark.parametrize(
    ("path", "colors", "caption"),
    [
        ("old_red_anvil.glb", ("red", "grey", "blue"), "a red and grey old anvil"),
        ("anvil.glb", ("orange",), "an orange anvil"),
        ("anvil.glb", (), "an anvil"),
        ("a_chest.glb", (), "a chest"),
        ("zzyx_qwrt.glb", (), "a zzyx qwrt"),
        ("fox/scene.gltf", ("orange",), "an orange fox"),
        ("Treasure Chest/source/model_01.obj", (), "a treasure chest"),
        ("fox/wolf.glb", (), "a wolf"),
        ("models/low-poly-fox.glb", (), "a fox"),
        ("scene.gltf", (), "an object"),
    ],
)
def test_a_caption_says_two_colours_and_what_the_name_says(path: str, colors: tuple[str, ...], caption: str) -> None:
    assert check.captioned(checked(path, *colors)).caption == caption


def test_of_a_name_the_last_noun_is_what_it_is_and_else_the_last_word() -> None:
    assert check.from_name("chest sword") == ("sword", ("chest",))
    assert check.from_name("zzyx_qwrt") == ("qwrt", ("zzyx",))
    assert check.from_name("a_b_chest_c") == ("chest", ())


def test_meshes_below_the_folder_and_in_capitals_are_found(folder: Path) -> None:
    (folder / "more" / "deep").mkdir(parents=True)
    (folder / "red_box.glb").rename(folder / "more" / "deep" / "ANVIL.GLB")
    got = found(folder)
    assert got["more/deep/ANVIL.GLB"].entry.noun == "anvil"
    assert "no file" in got["red_box.glb"].problem


def test_rows_that_lead_out_and_rows_twice_are_problems(folder: Path) -> None:
    (folder / "blue_ball.glb").rename(folder.parent / "outside.glb")
    with (folder / "captions.csv").open("a") as file:
        file.write("../outside.glb,ball,a ball,object,x\nred_box.glb,box,a box,object,y\ngreen_post.glb,qwrtz,a qwrtz,object,z\n")
    rows = look(folder)
    assert [one.problem for one in rows if one.entry.path == "../outside.glb"] == ["`../outside.glb` leads out of the library"]
    assert [one.problem for one in rows if one.entry.path == "red_box.glb"] == ["", "`red_box.glb` has more than one row"]
    (doubtful,) = (one.doubts for one in rows if one.entry.noun == "qwrtz")
    assert doubtful[0] == "`qwrtz` is no thing that a dictionary knows"


def test_as_many_faces_as_can_be_drawn_are_drawn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(check, "MOST_FACES", 12)
    monkeypatch.setattr(library, "MOST_FACES", 12)
    assert not found(folder)["red_box.glb"].problem
    monkeypatch.setattr(check, "MOST_FACES", 11)
    assert "12 faces, more than 11" in found(folder)["red_box.glb"].problem


def test_variants_of_one_model_may_look_the_same(folder: Path) -> None:
    trimesh.load(folder / "blue_ball.glb").export(folder / "ball_again.glb")
    captions = folder / "captions.csv"
    captions.write_text(captions.read_text() + "ball_again.glb,ball,a ball again,object,blue_ball.glb\n")
    assert not found(folder)["ball_again.glb"].doubts
    captions.write_text(captions.read_text().replace("again,object,blue_ball.glb", "again,object,another"))
    assert found(folder)["ball_again.glb"].doubts == ("it looks the same as `blue_ball.glb`",)
    assert not found(folder)["red_box.glb"].doubts


def test_what_reading_a_file_notes_is_a_doubt(tmp_path: Path) -> None:
    box = "".join(f"v {x} {y} {z}\n" for x in (0, 1) for y in (0, 1) for z in (0, 1))
    (tmp_path / "anvil.obj").write_text(box + "l 1 2\nf 1 2 4 3\nf 5 7 8 6\nf 1 5 6 2\nf 3 4 8 7\nf 1 3 7 5\nf 2 6 8 4\n")
    (one,) = check.check(tmp_path, (".obj",), df3d_load)
    assert any("are not drawn" in doubt for doubt in one.doubts)


@pytest.mark.parametrize(
    ("offset", "count"),
    [((1.2, 0, 0), 1), ((2.5, 0, 0), 2), ((0, 0, 2.5), 2), ((0, 2.5, 0), 1), ((2.5, 0, 2.5), 2), ((0.5, 0, 0.5), 1)],
)
def test_things_apart_are_told_by_wide_gaps_seen_from_above(offset: tuple[float, ...], count: int) -> None:
    boxes = [trimesh.creation.box((1, 1, 1)), trimesh.creation.box((1, 1, 1)).apply_translation(offset)]
    corners = trimesh.util.concatenate(boxes).triangles.astype(np.float32)
    none = np.zeros((len(corners), 3, 2), np.float32)
    assert check.apart(Object(corners, np.ones_like(corners), none, np.full(len(corners), -1))) == count


def test_problems_come_first_on_the_page_then_doubts_and_nothing_is_markup() -> None:
    rows = [
        checked("fine.glb"),
        checked("odd.glb", doubts=("<i>odd</i>",), written=False),
        checked("bad.glb", problem="<b>bad</b>"),
    ]
    text = check.page(rows)
    assert "2 of 3 objects can be used" in text
    assert text.index("bad.glb") < text.index("odd.glb") < text.index("fine.glb")
    assert "a &lt;fine&gt;" in text
    assert "&lt;i&gt;odd&lt;/i&gt;" in text
    assert "&lt;b&gt;bad&lt;/b&gt;" in text
    assert text.count("(from the file name)") == 1


def test_rows_are_added_for_what_can_be_used_below_any_first_line(folder: Path) -> None:
    """With the mark of UTF-8 too, which is no part of a column's name."""
    (folder / "torn.glb").write_bytes(b"glTF")
    captions = folder / "captions.csv"
    captions.write_text("\ufeffpath,noun,caption\nred_box.glb,box,a red box\n", encoding="utf-8")
    said = check.add_captions(folder, look(folder))
    assert said.startswith("added 3 rows")
    assert {entry.path for entry in read_entries(folder)} == {file for file, *_ in shelf.OBJECTS}
    assert check.add_captions(folder, look(folder)).endswith("has a row for each mesh already")
    assert [check.record(one)["written"] for one in (checked("a.glb"), checked("a.glb", written=False))] == [True, False]


def test_entries_as_their_rows_tell_them(tmp_path: Path) -> None:
    (tmp_path / "captions.csv").write_text(
        "path,noun,caption,category,group\na.glb, Palm Tree ,a {colour} palm tree,Plant,\n"
        "b.glb,palm tree,the old palm tree,thing,g\n"
    )
    one, other = read_entries(tmp_path)
    assert (one.noun, one.word, one.group, one.hint) == ("palm tree", "palm-tree/0", "a.glb", "plant")
    assert (other.word, other.group, other.hint) == ("palm-tree/1", "g", "")
    assert (one.colorless, other.colorless) == (True, False)
    assert (one.details, other.details) == ((), ("old",))
