"""The toybox's grammar: what a caption says, and how free text is read as one. Imports nothing heavy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches

VIEWS = ("front", "side", "back", "overhead")
RELATIONS = ("on", "wearing")
COLOR_NAMES = ("red", "orange", "yellow", "green", "blue", "purple", "pink", "brown", "black", "white", "grey")
NOUN_NAMES = (
    *("dog", "cat", "horse", "pig", "rabbit", "elephant", "bird", "duck", "penguin", "peacock", "fish"),
    *("car", "truck", "airplane", "boat", "rocket"),
    *("chair", "table", "sofa", "mug", "lamp", "hat", "surfboard"),
    *("tree", "mushroom", "house", "snowman", "robot"),
)
BLANK = "_"  # fills a slot that says nothing
SLOTS = 6  # colour, noun, relation, colour, noun, view

SYNONYMS = {
    **dict.fromkeys(("puppy", "doggy", "hound", "corgi", "labrador", "terrier", "poodle", "dachshund"), "dog"),
    **dict.fromkeys(("kitten", "kitty", "feline", "tabby"), "cat"),
    **dict.fromkeys(("pony", "stallion", "mare", "foal"), "horse"),
    **dict.fromkeys(("piglet", "piggy", "hog", "boar"), "pig"),
    **dict.fromkeys(("bunny", "hare"), "rabbit"),
    **dict.fromkeys(("sparrow", "robin", "songbird", "bluebird", "parrot", "finch"), "bird"),
    **dict.fromkeys(("duckling", "mallard"), "duck"),
    **dict.fromkeys(("goldfish", "clownfish"), "fish"),
    **dict.fromkeys(("peafowl",), "peacock"),
    **dict.fromkeys(("automobile", "sedan", "taxi", "vehicle"), "car"),
    **dict.fromkeys(("lorry", "van"), "truck"),
    **dict.fromkeys(("plane", "aeroplane", "aircraft", "jet"), "airplane"),
    **dict.fromkeys(("ship", "sailboat", "yacht", "sailing-boat"), "boat"),
    **dict.fromkeys(("spaceship", "spacecraft", "missile"), "rocket"),
    **dict.fromkeys(("armchair", "seat"), "chair"),
    **dict.fromkeys(("desk",), "table"),
    **dict.fromkeys(("couch", "settee"), "sofa"),
    **dict.fromkeys(("cup", "tumbler"), "mug"),
    **dict.fromkeys(("lantern", "lampshade"), "lamp"),
    **dict.fromkeys(("cap", "fedora"), "hat"),
    **dict.fromkeys(("board", "surf-board", "longboard"), "surfboard"),
    **dict.fromkeys(("oak", "bush"), "tree"),
    **dict.fromkeys(("toadstool", "fungus"), "mushroom"),
    **dict.fromkeys(("home", "cottage", "hut", "cabin", "building"), "house"),
    **dict.fromkeys(("snowmen",), "snowman"),
    **dict.fromkeys(("android", "droid"), "robot"),
    **dict.fromkeys(("gray", "silver"), "grey"),
    **dict.fromkeys(("violet", "lilac"), "purple"),
    **dict.fromkeys(("scarlet", "crimson"), "red"),
    **dict.fromkeys(("golden", "gold"), "yellow"),
    **dict.fromkeys(("navy", "azure"), "blue"),
    **dict.fromkeys(("magenta", "rose"), "pink"),
    **dict.fromkeys(("tan", "chocolate"), "brown"),
    **dict.fromkeys(("emerald", "lime"), "green"),
    **dict.fromkeys(("atop", "onto", "upon", "riding"), "on"),
    **dict.fromkeys(("wears",), "wearing"),
}
_PHRASES = (
    (r"\b(sitting|standing|lying|resting|placed|perched|riding|balancing|surfing)\s+(on|atop|upon)\b", "on"),
    (r"\bon\s+(the\s+)?top\s+of\b", "on"),
    (r"\b(with|in)\s+an?\s+((?:[a-z]+\s+)?(?:hat|cap|fedora))\b", r"wearing a \2"),
    (r"\bsail(ing)?[ -]boats?\b", "boat"),
    (r"\bsurf[ -]boards?\b", "surfboard"),
    (r"\bsnow[ -](man|men)\b", "snowman"),
    (r"\brocket[ -]?ships?\b", "rocket"),
)
# Words that describe a picture or quality, not an object: read past without a warning.
_SILENT = frozenset(
    "a an the of its his her their some one with and photo photograph picture image render rendering dslr 3d model shot "
    "zoomed out in highly detailed high quality resolution hd 4k 8k professional view that is very beautiful cute small "
    "big large little tiny nice single toy realistic".split()
)


@dataclass(frozen=True)
class Thing:
    """A noun and its colour; None is the noun's natural colour."""

    noun: str
    color: str | None = None

    def __str__(self) -> str:
        return f"{self.color} {self.noun}" if self.color else self.noun


@dataclass(frozen=True)
class Caption:
    """What one object of the world is: a thing, perhaps on or wearing another."""

    subject: Thing
    relation: str | None = None
    other: Thing | None = None

    def __str__(self) -> str:
        text = _with_article(self.subject)
        return f"{text} {self.relation} {_with_article(self.other)}" if self.relation and self.other else text

    def canonical(self, view: str | None = None) -> str:
        """The six words the text encoder reads, e.g. `red dog on blue table front`."""
        other = self.other or Thing(BLANK)
        words = (self.subject.color, self.subject.noun, self.relation, other.color, other.noun, view)
        return " ".join(word or BLANK for word in words)


@dataclass(frozen=True)
class Reading:
    """How free text was understood: the caption, and the words that are not in it."""

    caption: Caption | None
    unknown: tuple[str, ...] = ()  # which mean nothing to the toybox
    left_out: tuple[str, ...] = ()  # which it knows, and has no place for: a third object, a second colour

    def nearest(self) -> dict[str, str]:
        """For each unknown word the known one most like it, where there is one."""
        near = {word: get_close_matches(word, _KNOWN, n=1, cutoff=0.7) for word in self.unknown if len(word) > 2}
        return {word: found[0] for word, found in near.items() if found}


def read(text: str) -> Reading:
    """Read free text: synonyms, plurals, articles and `a DSLR photo of ...` are understood, the rest is reported."""
    text = text.lower()
    for pattern, plain in _PHRASES:
        text = re.sub(pattern, plain, text)
    things: list[Thing] = []
    relation, color, taken = None, "", False  # the colour as it is written; whether another word came behind it
    unknown, left_out = [], []
    for word in re.findall(r"[a-z0-9-]+", text):
        meaning = _meaning(word)
        if meaning in COLOR_NAMES:
            left_out += [color] if color else []
            color, taken = word, False
        elif meaning in NOUN_NAMES:
            if len(things) < 1 + (relation is not None):
                things.append(Thing(meaning, _meaning(color) if color else None))
            else:
                left_out += [color, word] if color else [word]
            color = ""
        elif meaning in RELATIONS and len(things) == 1 and relation is None:
            relation = meaning
        elif meaning not in _SILENT and meaning not in RELATIONS:
            unknown.append(word)
            taken = True
    if color and things and things[-1].color is None and not taken:  # "a dog that is red"
        things[-1] = Thing(things[-1].noun, _meaning(color))
    elif color:
        left_out.append(color)
    caption = None
    if things:
        caption = Caption(things[0]) if len(things) == 1 else Caption(things[0], relation, things[1])
    return Reading(caption, tuple(dict.fromkeys(unknown)), tuple(dict.fromkeys(left_out)))


def _meaning(word: str) -> str:
    candidates = [word, word.removesuffix("s"), word.removesuffix("es"), word.removesuffix("ies") + "y"]
    for candidate in candidates:
        candidate = SYNONYMS.get(candidate, candidate)
        if candidate in _KNOWN:
            return candidate
    return word


def _with_article(thing: Thing) -> str:
    text = str(thing)
    return f"{'an' if text[0] in 'aeiou' else 'a'} {text}"


_KNOWN = frozenset((*COLOR_NAMES, *NOUN_NAMES, *RELATIONS))
