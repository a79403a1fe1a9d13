"""What English nouns mean: WordNet's kinds of physical things, and which of some known nouns is nearest to a word.

The table `nouns.bin` is made from WordNet 3.0 (G. A. Miller, "WordNet: a lexical database for English", CACM 38(11), 1995)
by `build_nouns.py`; its licence is in LICENSE-WordNet.
"""

from __future__ import annotations

import struct
import sys
import zlib
from array import array
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise
from pathlib import Path
from typing import NamedTuple

LEAST, LEAST_MADE = 0.7, 0.85  # nearness of what stands for another; of what people make, for WordNet's kinds of it are wide
UNLIKE = 0.15  # of nearness, between an animal and a dish, a plant and a person, and so on
LIKE = {  # what WordNet says nothing of or puts elsewhere, and what is an example of a wide kind: what stands for it
    word: kind
    for kind, words in {
        "armour": "armor, suit of armor, suit of armour",
        "bag": "wallet",
        "ball": "football, basketball",
        "banner": "curtain, blanket",
        "barbarian": "viking, gladiator, berserker",
        "bear": "polar bear, panda, gorilla",
        "apple": "kiwi",
        "bird": "crane, heron, stork",
        "castle": "fort, fortress",
        "house": "cabin, hut",
        "street lamp": "lamp post, lamppost, street light, streetlight, streetlamp",
        "ice cream": "ice cream cone",
        "washer": "washing machine",
        "chain": "rope, cord",
        "station": "airport",
        "stew": "soup, pasta, noodle, spaghetti, omelette",
        "wreath": "crown, tiara",
        "stick": "branch, twig",
        "skull": "head, bone",
        "pillow": "mattress",
        "piano": "harp, organ",
        "path": "road, street",
        "market": "office, shop, store",
        "horn": "flute, clarinet, oboe, trombone, trumpet, saxophone, tuba",
        "helmet": "mask",
        "car tire": "wheel, tire, tyre",
        "briefcase": "luggage, suitcase, baggage",
        "boat": "raft",
        "book": "scroll",
        "box": "gift box, crate",
        "candy bar": "candy, sweet",
        "cart": "stroller, pram, baby carriage",
        "cabinet": "nightstand, sideboard",
        "car": "vehicle, automobile",
        "cat": "kitten, lioness",
        "chair": "furniture",
        "chest of drawers": "chest of drawer, dresser",
        "chicken": "rooster, hen, chick, cockerel",
        "cocktail": "juice, lemonade",
        "computer": "printer",
        "cuckoo clock": "clock, watch, alarm clock",
        "dog": "animal, pet, mammal, puppy, monkey, kangaroo",
        "dolphin": "walrus, manatee, seal, sea lion",
        "elephant": "hippo, rhinoceros, mammoth",
        "fish": "goldfish, piranha, salmon, tuna",
        "flower": "rose, orchid, daffodil",
        "frog": "turtle, tortoise",
        "grass": "moss",
        "guitar": "violin, cello, banjo, mandolin",
        "halberd": "axe, battle axe, ax, battleaxe, hatchet, tomahawk",
        "hammer": "pickaxe, pick, warhammer",
        "horse": "unicorn, pegasus, centaur",
        "island": "desert, beach",
        "jewel": "gem, gemstone, ruby, sapphire",
        "lantern": "torch",
        "lemon": "lime",
        "locomotive": "train, tram, steam train, steam engine",
        "mailbox": "post box, letterbox, postbox, letter box",
        "man": "wizard, dwarf, troll, ogre, orc, goblin, giant, soldier, doctor, boy, superhero, policeman, firefighter, chef, "
        "farmer, clown, sailor, pilot, cowboy, sheriff, santa, santa claus, gnome, mage, sorcerer, druid, ranger, monk, priest, "
        "king, emperor",
        "milk": "yogurt",
        "motorbike": "bicycle, bike, scooter",
        "mountain": "pyramid, volcano, iceberg",
        "nut": "almond, walnut, hazelnut",
        "onion": "garlic",
        "person": "people, human, baby, child, kid",
        "plant": "ivy, vine",
        "present": "gift",
        "rat": "mouse, hamster, hedgehog, beaver, otter, mole, squirrel",
        "rocket": "rocket ship",
        "rogue": "thief, bandit, assassin, burglar",
        "saw": "chainsaw",
        "screw": "nail",
        "shell": "snail",
        "sheep": "lamb, ram, ewe",
        "ship": "submarine",
        "shoe": "boot, sandal, slipper, sneaker, trainer",
        "snake": "worm, caterpillar",
        "spaceship": "spacecraft, ufo, flying saucer",
        "spider": "octopus, squid, scorpion",
        "surfboard": "skateboard, snowboard",
        "sword": "katana, saber, scimitar",
        "television": "tv, tv set",
        "tractor": "excavator, bulldozer, digger, forklift",
        "trash can": "trashcan, garbage can, rubbish bin",
        "truck": "locomotive, lorry",
        "tyrannosaurus": "dinosaur, t rex, trex",
        "vampire": "demon, devil",
        "van": "bus, minibus",
        "woman": "mermaid, fairy, elf, witch, princess, queen, girl, nurse, ballerina, angel, pixie",
        "zombie": "skeleton, mummy",
    }.items()
    for word in words.split(", ")
}
# WordNet's lexicographer files whose senses are things that one can hold up and look at, before others.
ARTIFACT, ANIMAL, FOOD, NATURE, PERSON, PLANT = 6, 5, 13, 17, 18, 20
SOLID = (ARTIFACT, ANIMAL, PLANT, FOOD, NATURE, PERSON)  # persons last: many things have given people names
MEANT = {
    "peacock": "peafowl",
    "chest": "coffer",
    "horn": "cornet",
    "craft": "spacecraft",
    "wood": "log",
    "sign": "signboard",
    "bow": "longbow",
    "blaster": "pistol",
    "tenderizer": "mallet",
    "sponge": "scrubber",
    "wedge": "doorstop",
    "paint roller": "paintbrush",
    "coffee machine": "coffee maker",
    "dock": "pier",
    "spindle": "baluster",
    "forked tongue": "tooth",
}  # nouns whose most used meaning is another thing


@dataclass(frozen=True)
class Sense:
    """One meaning of a noun."""

    synset: int
    rank: int  # among the meanings of the noun, the most used first


class _Table(NamedTuple):
    """`nouns.bin`, as `build_nouns.py` writes it."""

    lines: list[bytes]  # one for each noun, sorted: the noun, a tab, and its meanings, or = and the singular of an irregular plural
    parents: array[int]  # of all meanings, the kinds that each belongs to
    starts: array[int]  # where those of each meaning begin
    kinds: bytes  # WordNet's lexicographer file of each meaning


@cache
def _table() -> _Table:
    data = zlib.decompress((Path(__file__).parent / "nouns.bin").read_bytes())
    sizes = struct.unpack_from("<4I", data)
    ends = list(accumulate(sizes, initial=16))
    text, parents, starts, kinds = (data[start:end] for start, end in pairwise(ends))
    return _Table(text.split(b"\n"), _numbers("H", parents), _numbers("I", starts), kinds)


def _numbers(kind: str, data: bytes) -> array[int]:
    numbers = array(kind, data)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers


@cache
def senses(noun: str) -> tuple[Sense, ...]:
    """The meanings of a noun (lower case, singular) that are physical things; none for other words."""
    found = _line(noun)
    if not found or found.startswith("="):
        return ()
    return tuple(Sense(*map(int, cell.split(":"))) for cell in found.split(","))


def singular(word: str) -> str:
    """A noun without the ending of its plural, where that is a noun too; else the word."""
    irregular = _line(word)
    if irregular.startswith("="):
        return irregular[1:]
    if senses(word):
        return word
    for ending, instead in (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", "")):
        one = word[: -len(ending)] + instead
        if word.endswith(ending) and len(one) > 1 and senses(one):
            return one
    return word[:-1] if word.endswith("s") and _longer(word[:-1]) else word


def _line(noun: str) -> str:
    """What stands behind a noun; nothing where it is not in the table."""
    mark = f"{noun}\t".encode()
    found = _first(mark)
    return found[len(mark) :].decode() if found.startswith(mark) else ""


def _first(mark: bytes) -> bytes:
    """The first line of the table that does not come before a mark."""
    lines = _table().lines
    place = bisect_left(lines, mark)
    return lines[place] if place < len(lines) else b""


@cache
def ancestors(synset: int) -> Mapping[int, int]:
    """A meaning and the kinds that it belongs to, with the steps up to each."""
    table, found, level, steps = _table(), {synset: 0}, [synset], 0
    while level:
        steps += 1
        level = [p for s in level for p in table.parents[table.starts[s] : table.starts[s + 1]] if p not in found]
        found.update(dict.fromkeys(level, steps))
    return found


@cache
def depth(synset: int) -> int:
    """Steps from a meaning to the most general one, by the longest way."""
    table = _table()
    return max((1 + depth(above) for above in table.parents[table.starts[synset] : table.starts[synset + 1]]), default=1)


class Known:
    """Some nouns, to look up others by their meaning."""

    def __init__(self, nouns: Mapping[str, tuple[str, int]]) -> None:
        """`nouns`: for each a hint at what it is ("animal", "plant", "food", or nothing), and how many objects it has."""
        self.nouns = nouns
        self.meanings = {noun: sense.synset for noun, (hint, _) in nouns.items() if (sense := chosen(noun, hint)) is not None}
        self._heads: dict[str, list[str]] = {}
        for noun in nouns:
            if " " in noun:
                self._heads.setdefault(noun.split()[-1], []).append(noun)
        self._below: dict[int, list[tuple[int, str]]] = {}
        for noun, synset in self.meanings.items():
            for above, steps in ancestors(synset).items():
                self._below.setdefault(above, []).append((steps, noun))

    def nearest(self, word: str) -> tuple[str, float] | None:
        """The known noun whose meaning is nearest to that of a noun, and how near, 1 for the same; None where none is near.

        Nearness is Wu and Palmer's ("Verb semantics and lexical selection", ACL 1994): twice the depth of the kind that both
        belong to, over that and the steps from each to it. Less used meanings count less, nouns with many objects a little more.
        Before that come what LIKE says, and nouns of more words that end in this one: an electric guitar for a guitar. A noun that
        only begins with it is another thing: no guitar stand.
        """
        if word in self.nouns:
            return word, 1.0
        if word in LIKE and (instead := self.nearest(LIKE[word])):
            return instead[0], min(instead[1], 0.985)
        if word in self._heads:
            return max(self._heads[word], key=lambda noun: (self.nouns[noun][1], -len(noun))), 0.98
        best: tuple[float, int, str] | None = None
        kinds = _table().kinds
        for rank, synset in enumerate(ordered(word)):
            least = LEAST_MADE if kinds[synset] == ARTIFACT else LEAST
            for kind, up in ancestors(synset).items():
                shared = 2 * depth(kind)
                for down, noun in self._below.get(kind, ()):
                    if word in noun.split()[:-1]:
                        continue
                    near = shared / (shared + up + down) - 0.15 * rank - 0.01 * up
                    near += 0.015 * min(self.nouns[noun][1], 8) ** 0.5 - UNLIKE * (kinds[synset] != kinds[self.meanings[noun]])
                    if near >= least and (best is None or (near, -down) > best[:2]):
                        best = near, -down, noun
        return (best[2], float(min(best[0], 0.99))) if best else None


def ordered(word: str) -> list[int]:
    """The meanings of a noun as somebody who asks for an object has them in mind: an animal before a person or a dish named after
    it, a fruit before its tree, and else the most used one first."""
    kinds = _table().kinds
    found = [(kinds[sense.synset], sense) for sense in senses(word) or _longer(word)]
    there = {kind for kind, _ in found}

    def place(item: tuple[int, Sense]) -> float:
        kind, sense = item
        before = kind == ANIMAL or (kind == FOOD and PLANT in there and not {ANIMAL, ARTIFACT} & there)
        return sense.rank - 3 * before + 0.5 * (kind not in SOLID)

    return [sense.synset for _, sense in sorted(found, key=place)]


def _longer(word: str) -> tuple[Sense, ...]:
    """The animals of the first noun that begins with a word: labrador retriever for labrador, but no time bomb for time."""
    mark, table = f"{word} ".encode(), _table()
    found = _first(mark) if word else b""
    longer = senses(found.split(b"\t")[0].decode()) if found.startswith(mark) else ()
    return tuple(sense for sense in longer if table.kinds[sense.synset] == ANIMAL)


def chosen(noun: str, hint: str = "") -> Sense | None:
    """Which meaning a noun has as the name of an object: its most used one, if that is solid, or the first solid one."""
    kinds = _table().kinds
    wanted = {"animal": ANIMAL, "plant": PLANT, "food": FOOD}.get(hint)
    noun = MEANT.get(noun, noun)
    found = senses(singular(noun)) or senses(singular(noun.split()[-1]))
    for accepted in ((wanted,) if wanted else (), SOLID[:-1], SOLID):
        for sense in found:
            if kinds[sense.synset] in accepted:
                return sense
    return found[0] if found else None
