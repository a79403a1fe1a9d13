from __future__ import annotations

import csv
from pathlib import Path

import pytest
from df3d_prior import meaning
from df3d_prior.prompts import index_of, notes
from df3d_prior.reading import Index, Known
from df3d_toybox.prompts import WORLD

from df3d.errors import PromptError

VERDICTS = Path(__file__).parent / "words.csv"


@pytest.fixture(scope="module")
def index() -> Index:
    """That of a library of 800 nouns, of which some tests look at a few objects more closely, beside the world's own."""
    rows = csv.DictReader((Path(__file__).parent / "nouns.csv").open(encoding="utf-8"))
    objects = [
        Known(f"{r['noun']}/{i}", r["noun"], f"a {r['noun']}", ("grey",), r["hint"]) for r in rows for i in range(int(r["objects"]))
    ]
    objects += [
        Known("bottle/green", "bottle", "a green bottle", ("green",)),
        Known("tree/willow", "tree", "a brown willow tree", ("green", "brown"), "plant"),
        Known("statue/lion", "statue", "a {colour} lion statue", ("grey",)),
    ]
    return Index([*objects, *index_of(WORLD).objects])


@pytest.mark.parametrize(
    ("text", "made", "words"),
    [
        ("a dragon", "a dragon", "_ thing _ _ _ _"),
        ("a DSLR photo of a medieval sword", "a sword", "_ thing _ _ _ _"),
        ("a blue spaceship", "a blue spaceship", "blue thing _ _ _ _"),
        ("a pumpkin in a hat", "a pumpkin wearing a hat", "_ thing wearing _ thing _"),
        ("the chest sitting on top of a table", "a chest on a table", "_ thing on _ thing _"),
        ("two barrels", "two of: barrel", "_ thing two _ _ _"),
        ("a katana next to a barrel", "a katana beside a barrel", "_ thing beside _ thing _"),
        ("a peacock on a surfboard", "a peacock on a surfboard", "_ peacock on _ surfboard _"),
        ("a red dog on a blue table", "a red dog on a blue table", "red dog on blue table _"),
        ("a dog beside a cat", "a dog beside a cat", "_ thing beside _ thing _"),
        ("a dog, a barrel", "a dog beside a barrel", "_ thing beside _ thing _"),
        ("labradors", "a dog", "_ dog _ _ _ _"),
        ("a limousine", "a car", "_ car _ _ _ _"),
        ("a pirate ship", "a ship", "_ thing _ _ _ _"),
        ("a black cat", "a black cat", "black cat _ _ _ _"),
        ("an orange", "a lemon", "_ thing _ _ _ _"),
        ("a wooden barrel full of apples", "a brown barrel", "brown thing _ _ _ _"),
        ("a black and white dragon", "a black dragon", "black thing _ _ _ _"),
        ("a white and a black knight", "a black knight", "black thing _ _ _ _"),
        ("a crate in red and white", "a red crate", "red thing _ _ _ _"),
        ("a dragon on white", "a dragon", "_ thing _ _ _ _"),
        ("a knight holding a sword", "a knight", "_ thing _ _ _ _"),
        ("a bear under a table", "a bear", "_ thing _ _ _ _"),
        ("a barn with a red roof", "a barn", "_ thing _ _ _ _"),
        ("a castle made of gold", "a yellow castle", "yellow thing _ _ _ _"),
        ("a bear lies on a bench", "a bear on a bench", "_ thing on _ thing _"),
        ("bow & arrow", "a bow beside an arrow", "_ thing beside _ thing _"),
        ("a barn between two castles", "a barn", "_ thing _ _ _ _"),
        ("a slice of pizza", "a pizza", "_ thing _ _ _ _"),
        ("a pair of scissors", "a scissors", "_ thing _ _ _ _"),
        ("a pair of dragons", "two of: dragon", "_ thing two _ _ _"),
        ("a chest of drawers", "a chest of drawers", "_ thing _ _ _ _"),
        ("a green-dragon", "a green dragon", "green thing _ _ _ _"),
        ("a fire truck", "a firetruck", "_ thing _ _ _ _"),
        ("eggs", "an egg", "_ thing _ _ _ _"),
        ("a guitar", "an electric guitar", "_ thing _ _ _ _"),
        ("a tiger", "a cat", "_ cat _ _ _ _"),
    ],
)
def test_free_text_is_understood(index: Index, text: str, made: str, words: str) -> None:
    reading = index.read(text)
    assert str(reading) == made
    assert reading.caption is not None
    assert reading.caption.canonical() == words


def test_an_object_is_chosen_by_its_colour_and_its_details(index: Index) -> None:
    chosen = {
        text: index.read(text).things[0] for text in ("a green bottle", "a red bottle", "a willow tree", "a statue of a lion")
    }
    assert {text: thing.known.word for text, thing in chosen.items()} == {
        "a green bottle": "bottle/green", "a red bottle": "bottle/0",
        "a willow tree": "tree/willow", "a statue of a lion": "statue/lion",
    }  # fmt: skip
    assert [thing.color for thing in chosen.values()] == [None, "red", None, None]


def test_the_world_alone_has_one_of_a_thing_or_one_on_another() -> None:
    world = index_of(WORLD)
    assert str(world.read("two cats")) == "a cat"
    assert world.read("two cats").unknown == ("two",)
    assert str(world.read("a dog beside a cat")) == "a dog"
    assert world.read("a dog beside a cat").unknown == ("cat",)
    assert not world.read("a dragon").things  # nothing of the world is near to it


def test_what_was_understood_and_left_out_is_said(index: Index) -> None:
    assert notes("a red car", index) == []
    assert notes("a dragon", index) == []
    (note,) = notes("a shiny labrador", index)
    assert "understood as `a dog`" in note
    assert "`dog` stands for `labrador`" in note
    assert "leaves out `shiny`" in note
    assert "--recipe dreamfusion" in note
    (note,) = notes("a black and green dragon with two coins under it", index)
    assert note.startswith("understood as `a black dragon`: it leaves out `two`, `coins`, `green`; ")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("the of and", "it knows 8"),
        ("drgaon", "did you mean `dragon`?"),
        ("swiftly", "it knows 8"),
        ("black and white", "it knows 8"),
        ("a red dragno", "did you mean `dragon`?"),
        ("freedom", "it knows 8"),
        ("three", "it knows 8"),
        ("une épée", "it knows 8"),
        ("a batman", "it knows 8"),
    ],
)
def test_a_text_without_any_thing_is_refused(index: Index, text: str, hint: str) -> None:
    with pytest.raises(PromptError, match="the prior knows no object in") as error:
        notes(text, index)
    assert hint in str(error.value.hint)


@pytest.mark.parametrize(
    ("plural", "one"),
    [("knives", "knife"), ("wolves", "wolf"), ("berries", "berry"), ("boxes", "box"), ("geese", "goose"), ("bus", "bus")],
)
def test_plurals(plural: str, one: str) -> None:
    assert meaning.singular(plural) == one


def test_a_kind_is_never_deeper_than_what_belongs_to_it() -> None:
    """So that nearness is at most 1, also where a noun belongs to several kinds: a dog is a canine and a pet."""
    for noun in ("dog", "cat", "swing", "clothing", "wolf", "lion"):
        for sense in meaning.senses(noun):
            assert all(meaning.depth(above) <= meaning.depth(sense.synset) for above in meaning.ancestors(sense.synset))


def test_a_noun_that_only_begins_with_a_word_is_another_thing() -> None:
    known = meaning.Known({"guitar stand": ("", 1), "ring pull": ("", 1), "dog": ("animal", 1)})
    assert known.nearest("guitar") is None
    assert known.nearest("ring") is None
    assert meaning.Known({"guitar stand": ("", 1), "bass guitar": ("", 1)}).nearest("guitar") == ("bass guitar", 0.98)


def test_meanings_are_those_of_things() -> None:
    assert meaning.senses("sword")
    assert meaning.senses("dragon")  # a creature of fancy is something to be made
    assert not meaning.senses("justify")
    assert not meaning.senses("quickly")


def test_synonyms_come_before_kinds_and_kinds_before_examples() -> None:
    known = meaning.Known({"dog": ("animal", 1), "sword": ("", 1), "car": ("", 1), "apple": ("food", 1), "sofa": ("", 1)})
    found = {word: known.nearest(word) for word in ("couch", "katana", "poodle", "limousine", "fruit", "weapon")}
    assert {word: near[0] for word, near in found.items() if near} == {
        "couch": "sofa", "katana": "sword", "poodle": "dog", "limousine": "car", "fruit": "apple", "weapon": "sword",
    }  # fmt: skip
    near = {word: near[1] for word, near in found.items() if near}
    assert near["couch"] == 0.99
    assert near["couch"] > near["katana"]


def test_nine_words_in_ten_lead_to_what_a_person_would_accept(index: Index) -> None:
    """Words of everyday objects that the library lacks, with what a person would accept for each; none: nothing was acceptable."""
    rows = list(csv.DictReader(VERDICTS.open(encoding="utf-8")))
    assert len(rows) >= 200
    right = 0
    for row in rows:
        assert row["word"] not in index.nouns
        things = index.read(row["word"]).things
        right += bool(things) and things[0].noun in row["accepted"].split("|")
    assert right / len(rows) >= 0.9


def test_the_table_is_small() -> None:
    assert (Path(meaning.__file__).parent / "nouns.bin").stat().st_size < 2e6


def test_an_index_is_saved_and_read(tmp_path: Path) -> None:
    written = Index(
        [Known("box/0", "box", 'a "red", big box', ("red", "grey")), Known("dog", "dog", "a dog", ("brown",), "animal", True)]
    )
    written.save(tmp_path)
    assert Index.load(tmp_path).objects == written.objects
