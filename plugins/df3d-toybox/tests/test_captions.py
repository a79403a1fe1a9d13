from __future__ import annotations

import pytest
from df3d_toybox.captions import COLOR_NAMES, NOUN_NAMES, RELATIONS, SLOTS, SYNONYMS, Caption, Thing, read


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("a peacock on a surfboard", "_ peacock on _ surfboard _"),
        ("a DSLR photo of a white boat", "white boat _ _ _ _"),
        ("a zoomed out DSLR photo of a red dog sitting on top of a blue table", "red dog on blue table _"),
        ("two cats", "_ cat _ _ _ _"),
        ("A Puppy riding on a sailing boat.", "_ dog on _ boat _"),
        ("the gray bunnies", "grey rabbit _ _ _ _"),
        ("a penguin wearing a yellow hat", "_ penguin wearing yellow hat _"),
        ("a snowman with a red hat, highly detailed", "_ snowman wearing red hat _"),
        ("a rocket ship", "_ rocket _ _ _ _"),
        ("an airplane", "_ airplane _ _ _ _"),
        ("a green coffee mug", "green mug _ _ _ _"),
        ("a surf board", "_ surfboard _ _ _ _"),
        ("a dog that is red", "red dog _ _ _ _"),
        ("two ponies", "_ horse _ _ _ _"),
        ("some bushes", "_ tree _ _ _ _"),
        ("a dog perched atop a chair", "_ dog on _ chair _"),
        ("a dog on top of the sofa", "_ dog on _ sofa _"),
        ("a cat in a blue cap", "_ cat wearing blue hat _"),
        ("a duck with an orange hat", "_ duck wearing orange hat _"),
        ("a duck wears a fedora", "_ duck wearing _ hat _"),
        ("a sail boat", "_ boat _ _ _ _"),
        ("two snow men", "_ snowman _ _ _ _"),
        ("a rocketship", "_ rocket _ _ _ _"),
        ("a violet dog riding a navy horse", "purple dog on blue horse _"),
        ("a dog on a table that is red", "_ dog on red table _"),
    ],
)
def test_free_text_is_understood(text: str, canonical: str) -> None:
    caption = read(text).caption
    assert caption is not None
    assert caption.canonical() == canonical
    assert len(caption.canonical().split()) == SLOTS
    assert read(str(caption)).caption == caption


def test_the_view_has_a_place_of_its_own() -> None:
    caption = read("a red car").caption
    assert caption is not None
    assert caption.canonical("back") == "red car _ _ _ back"


def test_unknown_words_are_reported_with_the_nearest_known_ones() -> None:
    reading = read("a shiny gren car with peacok")
    assert reading.unknown == ("shiny", "gren", "peacok")
    assert reading.nearest() == {"gren": "green", "peacok": "peacock"}


@pytest.mark.parametrize("text", ["a flurb", "red", "on", "the of and"])
def test_a_text_without_a_known_noun_has_no_caption(text: str) -> None:
    assert read(text).caption is None


def test_the_words_do_not_contradict_each_other() -> None:
    known = {*COLOR_NAMES, *NOUN_NAMES, *RELATIONS}
    assert set(SYNONYMS.values()) <= known
    assert not set(SYNONYMS) & known
    assert len(NOUN_NAMES) >= 24
    assert len(COLOR_NAMES) >= 10


@pytest.mark.parametrize(
    ("text", "left_out", "makes"),
    [
        ("a car, a boat and a tree", ("boat", "tree"), "a car"),
        ("a red and purple car", ("red",), "a purple car"),
        ("a red car with a magenta submarine", ("magenta",), "a red car"),  # and not a car of that colour
        ("a dog on a red submarine", ("red",), "a dog"),
        ("a dog on a table with a cat", ("cat",), "a dog on a table"),
        ("a dog on a table with a red cat", ("red", "cat"), "a dog on a table"),
    ],
)
def test_what_is_known_and_has_no_place_is_said_as_such(text: str, left_out: tuple[str, ...], makes: str) -> None:
    reading = read(text)
    assert reading.left_out == left_out
    assert not set(reading.unknown) & {*COLOR_NAMES, *NOUN_NAMES}
    assert str(reading.caption) == makes


@pytest.mark.parametrize("text", ["a cat at night", "a red house by a house", "a dog and a dog", "an ox on a car"])
def test_no_word_is_nearest_to_itself_or_found_in_a_short_one(text: str) -> None:
    assert not {word for word, near in read(text).nearest().items() if word == near or len(word) < 3}


def test_a_caption_is_told_with_its_articles() -> None:
    assert str(Caption(Thing("elephant"))) == "an elephant"
    assert str(Caption(Thing("car", "orange"), "on", Thing("airplane"))) == "an orange car on an airplane"
    assert str(Caption(Thing("dog", "red"), "wearing", Thing("hat", "blue"))) == "a red dog wearing a blue hat"
    assert Caption(Thing("dog")).canonical("overhead") == "_ dog _ _ _ overhead"


def test_each_word_that_is_not_used_is_told_once_in_its_order() -> None:
    reading = read("a shiny car, a shiny glossy boat and a boat")
    assert (reading.unknown, reading.left_out) == (("shiny", "glossy"), ("boat",))
    assert read("a bot").nearest() == {"bot": "boat"}
    assert read("a car at zzzzz").nearest() == {}  # nothing is like it
