"""Free text as a caption of the model's: which things it names, in which colours, and which objects of a library fit best."""

from __future__ import annotations

import csv
import re
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from df3d_prior import meaning
from df3d_prior.words import WORLD, Caption, Thing

FILE = "objects.csv"
COLORS = {
    **{color: color for color in "red orange yellow green blue purple pink brown black white grey".split()},
    **dict.fromkeys("gray silver silvery metal metallic steel iron stone concrete chrome slate ash".split(), "grey"),
    **dict.fromkeys("violet lilac mauve indigo lavender plum amethyst".split(), "purple"),
    **dict.fromkeys("scarlet crimson maroon ruby cherry-red bloody".split(), "red"),
    **dict.fromkeys("golden gold amber blond blonde mustard-yellow brass sandy".split(), "yellow"),
    **dict.fromkeys("navy azure teal cyan turquoise sapphire icy".split(), "blue"),
    **dict.fromkeys("magenta rose fuchsia rosy salmon-pink".split(), "pink"),
    **dict.fromkeys("tan chocolate wooden wood oak bronze copper leather rusty beige mahogany walnut".split(), "brown"),
    **dict.fromkeys("emerald lime olive jade mossy".split(), "green"),
    **dict.fromkeys("dark ebony onyx coal".split(), "black"),
    **dict.fromkeys("ivory marble snowy cream pale porcelain".split(), "white"),
}
MATERIALS = frozenset(
    "metal metallic steel iron stone concrete wooden wood oak brass bronze copper leather marble gold dark chrome".split()
)
BASIC = frozenset("red yellow green blue purple pink brown black white grey gray dark".split())  # that are no things either
TREES = frozenset("oak walnut mahogany olive lime plum".split())
RELATIONS = {
    r"(?:is |are )?(?:(?:sitt|stand|ly|rest|rid|balanc|surf|sleep)ing |(?:sit|stand|lie|rest|ride|sleep)s? |placed |perched )?"
    r"(?:on top of|on|atop|upon|onto|riding|rides)": "on",
    r"(?:with|in|wearing|wears)(?: an?)?(?= (?:[\w-]+ ){0,2}(?:hat|cap|helmet|crown|fedora|hood)\b)": "wearing",
    r"wearing|wears": "wearing",
    r"beside|next to|by|near|and|alongside": "beside",
}
PICTURE = re.compile(r"^.*\b(?:photo|photograph|picture|image|render|rendering|model|shot|view)s? of\b")
MEASURE = re.compile(
    r"\b(?:slice|piece|pile|heap|bunch|bouquet|set|roll|head|stack|group|lump|chunk|bit|kind|type|sort|pair)s? of (?:an? |the )?"
)
TWO_COLORS = re.compile(rf"\b({'|'.join(COLORS)}) and (?=(?:{'|'.join(COLORS)}) (?!(?:on|in|beside|next|by|near|and|with)\b)\w)")
# What ends the words that say what a thing is: a dog under a table is a dog.
STOPS = frozenset(
    "of in from for made full at with without under below beneath behind inside outside between holding carrying eating drinking "
    "pulling pushing fighting chasing hunting over above against around through into shaped like that which who to playing using "
    "driving jumping running flying walking looking holds carries eats pulls fights chases".split()
)
NUMBERS = frozenset("one two three four five six seven eight nine ten dozen".split())
PAIR = re.compile(
    r"\b(two|(?:a )?pair of(?! (?:scissors|glasses|pliers|tweezers|tongs|binoculars|headphones))|(?:a )?couple of|twin|2)\b"
)
HEAD = 0.92  # nearness that a longer phrase needs to say more than its last word: a palm tree, but a treasure chest
OWN_RELATIONS = ("on", "wearing")  # that the procedural world has
SILENT = frozenset(
    "a an the of its his her their my your our some one that is are very beautiful cute small big large little tiny nice "
    "single toy realistic photo photograph picture image render rendering dslr 3d model shot zoomed out in highly detailed "
    "high quality resolution hd 4k 8k professional view old new low poly lowpoly style stylized cartoon fantasy this huge "
    "enormous massive mini miniature can you please want make create generate draw show me i we would like it there with "
    "for at from made to and or as be has have which who".split()
)


@dataclass(frozen=True)
class Known:
    """One object that a model has a word for."""

    word: str
    noun: str
    caption: str
    colors: tuple[str, ...]  # its own, the largest first
    hint: str = ""  # animal, person, plant, food, or nothing
    own: bool = False  # of the procedural world, which has one object of each noun

    @property
    def spare(self) -> bool:
        """Whether it is a noun of the world as an object with a sketch: for captions that the world itself does not have."""
        return self.word.endswith(WORLD)

    @cached_property
    def details(self) -> frozenset[str]:
        """Words of its caption beside noun and colours."""
        noun = set(self.noun.split())
        found = re.findall(r"[a-z0-9-]+", self.caption.lower())
        return frozenset(
            _stem(w) for w in found if w not in noun and w not in SILENT and w not in ("and", "colour", "with", *COLORS)
        )


@dataclass(frozen=True)
class Understood:
    """One thing of a text, and how it was understood."""

    asked: str  # the noun as it is written
    noun: str  # what is made
    near: float  # 1 where the noun is known, less where another stands for it
    known: Known
    color: str | None  # to be painted; None for the object's own


@dataclass(frozen=True)
class Reading:
    """How a text was understood."""

    things: tuple[Understood, ...]
    relation: str | None = None
    unknown: tuple[str, ...] = ()  # words that changed nothing
    colored: bool = False  # whether it names a colour for its first thing

    @property
    def caption(self) -> Caption | None:
        """What the model is asked for; None where the text names nothing."""
        if not self.things:
            return None
        parts = [Thing(thing.known.word, thing.color) for thing in self.things]
        return Caption(parts[0], self.relation, parts[1] if len(parts) > 1 else None)

    def __str__(self) -> str:
        """What is made, in words."""
        names = [f"{thing.color or ''} {thing.noun}".strip() for thing in self.things]
        if self.relation == "two":
            return f"two of: {names[0]}"
        return f" {self.relation} ".join(_with_article(name) for name in names)


@dataclass
class Index:
    """The objects that a model has words for, to find those that a text asks for. One without a noun is not to be had."""

    objects: list[Known]
    _by_noun: dict[str, list[Known]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for one in self.objects:
            if one.noun:
                self._by_noun.setdefault(one.noun, []).append(one)

    @classmethod
    def load(cls, folder: Path) -> Index:
        """What `save` wrote into a model's folder."""
        with (folder / FILE).open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            return cls(
                [Known(r["word"], r["noun"], r["caption"], tuple(r["colors"].split()), r["hint"], r["own"] == "yes") for r in rows]
            )

    def save(self, folder: Path) -> None:
        """Write it as a table."""
        with (folder / FILE).open("w", newline="", encoding="utf-8") as file:
            rows = csv.writer(file, lineterminator="\n")
            rows.writerow(("word", "noun", "caption", "colors", "hint", "own"))
            for one in self.objects:
                rows.writerow((one.word, one.noun, one.caption, " ".join(one.colors), one.hint, "yes" if one.own else ""))

    @property
    def nouns(self) -> list[str]:
        """What its objects are, each noun once."""
        return list(self._by_noun)

    @property
    def sketched(self) -> list[str]:
        """The words of objects that have sketches, in their order."""
        return [one.word for one in self.objects if not one.own]

    @property
    def owns(self) -> bool:
        """Whether it has nouns of the procedural world."""
        return any(one.own for one in self.objects)

    @cached_property
    def meanings(self) -> meaning.Known:
        """Its nouns by what they mean."""
        return meaning.Known({noun: (found[0].hint, 8 if found[0].own else len(found)) for noun, found in self._by_noun.items()})

    def read(self, text: str) -> Reading:
        """Read free text."""
        text = re.sub(r",\s*(?=(?:an?|the)\b)|\s*[&+;]\s*", " and ", text.lower())
        text = PICTURE.sub(" ", re.sub(r"[^\w\s'-]", " ", text))
        text = re.sub(r"[\w'-]*-[\w'-]*", lambda found: found[0] if self._hyphened(found[0]) else found[0].replace("-", " "), text)
        text = TWO_COLORS.sub(r"\1 ", " ".join(text.split()))
        found = PAIR.search(text)
        pair = found.group() if found and STOPS.isdisjoint(text[: found.start()].split()) else ""  # not: a house between two trees
        parts, relation = _parts(MEASURE.sub(" ", PAIR.sub(" ", text) if pair else text))
        reading = self._understood(parts, relation, pair, own=True)
        if any(not thing.known.own for thing in reading.things) or reading.relation not in (None, *OWN_RELATIONS):
            reading = self._understood(parts, relation, pair, own=False)
        if reading.relation not in (None, *OWN_RELATIONS) and any(thing.known.own for thing in reading.things):
            first, *rest = reading.things  # of which the world has only one
            left = [thing.asked for thing in rest] or [pair]
            return Reading((first,), None, (*reading.unknown, *left), reading.colored)
        return reading

    def _hyphened(self, word: str) -> bool:
        return word in self._by_noun or word in COLORS

    def _understood(self, parts: list[str], relation: str | None, pair: str, *, own: bool) -> Reading:
        """The parts of a text as things; `own`: the procedural world's own objects are preferred, else those with sketches."""
        things: list[Understood] = []
        unknown: list[str] = []
        colored = False
        for part in parts[:2]:
            thing, left, named = self._thing(part, own)
            unknown += left
            if thing is not None:
                colored |= named and not things
                things.append(thing)
        for part in parts[2:]:
            unknown += [word for word in part.split() if word not in SILENT]
        if len(things) < 2:
            relation = "two" if pair and things else None
        elif pair:
            unknown.append(pair)
        return Reading(tuple(things), relation, tuple(dict.fromkeys(unknown)), colored)

    def _thing(self, part: str, own: bool) -> tuple[Understood | None, list[str], bool]:
        """The thing of a part of a text, the words that changed nothing, and whether it names a colour."""
        words = re.findall(r"[\w'-]+", part)
        found = self._noun(words)
        if found is None:
            return None, [word for word in words if word not in SILENT and word not in COLORS], False
        asked, noun, near, first, last = found
        rest = [word for i, word in enumerate(words) if not first <= i < last]
        colors = [w for i, w in enumerate(words) if w in COLORS and (i < first or (i >= last and _closes(words, i)))]
        if noun == "tree":  # an oak tree is no brown one
            colors = [word for word in colors if word not in TREES]
        color = next((COLORS[word] for word in colors if word not in MATERIALS), None)
        color = color or next((COLORS[word] for word in colors), None)
        details = [_stem(word) for word in [*rest, *asked.split()] if word not in SILENT and word not in noun.split()]
        known = self._best(noun, details, color, own)
        painted = None if color in known.colors[:1] and not known.own else color  # the world was always told the colour
        left = [word for word in rest if word not in SILENT and word not in COLORS and word not in STOPS]
        left += [word for word in colors if COLORS[word] not in (color, *known.colors) and word not in MATERIALS]
        left += [word for word in asked.split() if noun in asked.split() and word not in noun.split()]
        left = [word for word in left if _stem(word) not in known.details]
        return Understood(asked, noun, near, known, painted), left, color is not None

    def _noun(self, words: list[str]) -> tuple[str, str, float, int, int] | None:
        """The noun that the words are about: as written, the known one, how near that is, and where it stands.

        The last noun before one of STOPS is what a phrase is about; of several words that are one noun the longest.
        """
        stop = next(
            (i for i, word in enumerate(words) if i and word in STOPS and " ".join(words[i - 1 : i + 2]) not in self._by_noun),
            len(words),
        )
        for colors in (False, True):  # an orange, a rose: only where nothing else is named
            for end in [stop, *range(stop - 1, 0, -1), *range(len(words), stop, -1)]:
                found = [
                    (near, -start, asked, noun)
                    for start in range(max(0, end - 3), end)
                    for asked, noun, near in self._named(words[start:end], colors)
                ]
                if found:
                    near, start, asked, noun = max(found)
                    return asked, noun, 1.0 if near == HEAD else near, -start, end
        return None

    def _named(self, phrase: list[str], colors: bool) -> list[tuple[str, str, float]]:
        """What a phrase of one to three words names, if it is a noun: as written, the known one, how near that is."""
        hue = phrase[0] in BASIC or (phrase[0] in COLORS and not colors)
        if len(phrase) == 1 and (phrase[0] in SILENT | NUMBERS or (hue and phrase[0] not in self._by_noun)):
            return []
        asked = " ".join([*phrase[:-1], meaning.singular(phrase[-1])])
        together = "".join(phrase) if phrase[0] not in SILENT else asked  # a fire truck is a firetruck, and a corn no acorn
        written = (" ".join(phrase), asked, " ".join(phrase).removesuffix("s"), together)
        direct = next((name for name in written if name in self._by_noun), None)
        if direct:
            return [(asked if direct in written[:2] else direct, direct, 1.0 if len(phrase) > 1 else HEAD)]
        if len(phrase) > 1 and (phrase[0] in SILENT or phrase[0] in COLORS):
            return []  # a black cat is a cat, whatever WordNet calls by that name
        nearest = self.meanings.nearest(asked)
        if nearest and nearest[0] in phrase[:-1]:
            return []  # a pirate ship is a ship, though WordNet calls it a pirate
        return [(asked, *nearest)] if nearest else []

    def _best(self, noun: str, details: list[str], color: str | None, own: bool) -> Known:
        """The object of a noun that fits a text best, the plainest one of those that fit equally."""

        def fit(one: Known) -> float:
            matched = len(one.details & set(details))
            painted = color is not None and color in one.colors[:1]
            plain = -0.3 * (len(one.details) - matched) - 1.0 * ("{" in one.caption)
            return 2.0 * matched + 0.9 * painted + plain + (1.0 if own else -10.0) * one.own - 2.0 * one.spare

        return max(self._by_noun[noun], key=fit)


def _parts(text: str) -> tuple[list[str], str | None]:
    """A text cut where it says how its things stand to one another, and what it says."""
    best: tuple[int, int, str] | None = None
    for pattern, relation in RELATIONS.items():
        found = re.search(rf"\b(?:{pattern})(?!\S)", text)
        if found and found.start() > 0 and (best is None or found.start() < best[0]):
            best = found.start(), found.end(), relation
    if best is None:
        return [text], None
    return [text[: best[0]], *_parts(text[best[1] :])[0]], best[2]


def _closes(words: list[str], i: int) -> bool:
    """Whether nothing follows a word that it could belong to: made of gold, but not with a red roof."""
    return i + 1 == len(words) or words[i + 1] in COLORS or words[i + 1] in STOPS


def _stem(word: str) -> str:
    """A word without usual endings."""
    word = meaning.singular(word)
    for ending in ("en", "ing", "ed", "y"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)]
    return word


def _with_article(name: str) -> str:
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
