"""Lists of prompts: what they may hold, and that all that is wrong with them is told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

import df3d
from df3d.batches import plan
from df3d.batches.lists import Entry, Mistakes, entries, read
from df3d.batches.plan import Row
from df3d.errors import ConfigError
from df3d.plugin.catalog import Catalog


def rows(text: str, source: str = "list.txt") -> list[Entry]:
    mistakes = Mistakes(source)
    found = read(text, mistakes)
    mistakes.tell()
    return found


def test_text_has_a_prompt_a_line_and_comments() -> None:
    assert rows("a red car\n\n# not this\n  a   dog \n") == [Entry(1, "a red car"), Entry(4, "a dog")]
    assert rows("\ufeffa red car\r\na dog\r\n", "-") == [Entry(1, "a red car"), Entry(2, "a dog")]


@pytest.mark.parametrize("source", ["list.csv", "-"])
def test_csv_has_a_column_for_each_key(source: str) -> None:
    text = 'prompt,seed,set,negative,out\n"a red car, shiny",3,"steps=5 field.levels=8",blurry,one\n\na dog,,,,\n'
    assert rows(text, source) == [
        Entry(2, "a red car, shiny", "blurry", 3, "", ("steps=5", "field.levels=8"), "one"),
        Entry(4, "a dog"),
    ]


@pytest.mark.parametrize("source", ["list.jsonl", "-"])
def test_json_lines_have_tables(source: str) -> None:
    text = '{"prompt": "a red car", "set": {"steps": 5}}\n{"prompt": "a dog", "seed": 2, "recipe": "toybox", "set": ["steps=3"]}\n'
    assert rows(text, source) == [
        Entry(1, "a red car", settings=("steps=5",)),
        Entry(2, "a dog", seed=2, recipe="toybox", settings=("steps=3",)),
    ]


@pytest.mark.parametrize(
    ("source", "text", "message"),
    [
        ("l.txt", "", "holds no prompt"),
        ("l.txt", "# only\n\n", "holds no prompt"),
        ("l.csv", "name\na car\n", "has no column `prompt`"),
        ("l.csv", "prompt,sed\na car,3\n", "line 2: unknown key `sed`"),
        ("l.csv", "prompt,seed\na car,-1\n", "line 2: `seed` is a whole number"),
        ("l.csv", "prompt,seed\na car,2147483648\n", "line 2: `seed` is a whole number from 0 to 2,147,483,647"),
        ("l.csv", "prompt\na car,more\n", "line 2: unknown key `more`"),
        ("l.csv", "prompt,out\na car,../x\n", "line 2: `out` is the name of a folder"),
        ("l.csv", "prompt,out\na car,.git\n", "line 2: `out` is the name of a folder"),
        ("l.csv", 'prompt,set\na car,"a=\'b"\n', "line 2: `set` cannot be read"),
        ("l.jsonl", "{\n", "line 1: it is no JSON"),
        ("l.jsonl", "[" * 100_000, "line 1: it is no JSON"),
        ("l.jsonl", "[1]\n", "line 1: it is no object"),
        ("l.jsonl", '{"seed": 1}\n', "line 1: it has no prompt"),
        ("l.jsonl", '{"prompt": 3}\n', "line 1: `prompt` is no text"),
        ("l.jsonl", '{"prompt": "a", "seed": true}\n', "line 1: `seed` is a whole number"),
        ("l.jsonl", '{"prompt": "a", "set": 3}\n', "line 1: `set` is neither"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(source: str, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        rows(text, source)


def test_everything_that_is_wrong_is_told_at_once(catalog: Catalog) -> None:
    """Mistakes of a row alone, of two that would share a folder, of settings, and of prompts that no guidance can make."""
    text = "prompt,seed,set\na red car,3,\na flurb,,\n,1,\na dog,x,\na red car,3,\na blue car,,field.levles=3\na cat,,\n"
    mistakes = Mistakes("bad.csv")
    found = read(text, mistakes)
    batch = plan.expand(found, [0], "toybox", [], "cpu", mistakes)
    plan.check(batch, found, catalog, mistakes)
    with pytest.raises(ConfigError) as error:
        mistakes.tell()
    told = error.value.message
    assert told.startswith("5 rows of `bad.csv` cannot be made: line 3: the prior knows no object in `a flurb`")
    for part in (
        "line 4: it has no prompt",
        "line 5: `seed`",
        "line 6: its folder `a-red-car-seed3` is that of line 2",
        "line 7: unknown key",
    ):
        assert part in told
    assert "line 2:" not in told.replace("that of line 2", "")
    assert "line 8" not in told


def test_of_many_mistakes_ten_are_told() -> None:
    with pytest.raises(ConfigError, match=r"^40 rows .*; and 30 more$"):
        rows("prompt,seed\n" + "a car,x\n" * 40, "l.csv")


def test_rows_have_their_seeds_and_folders() -> None:
    mistakes = Mistakes("l")
    told = entries(["a red car", {"prompt": "a dog", "seed": 7}, {"prompt": "a cat", "out": "mine"}], mistakes)
    batch = plan.expand(told, [0, 1], "toybox", ["steps=3"], "cpu", mistakes)
    mistakes.tell()
    assert batch.rows == [
        Row("a red car", 0, "a-red-car"), Row("a red car", 1, "a-red-car-seed1"), Row("a dog", 7, "a-dog-seed7"),
        Row("a cat", 0, "mine-seed0"), Row("a cat", 1, "mine-seed1"),
    ]  # fmt: skip


def test_a_batch_survives_being_written_and_read_and_so_does_an_older_one(tmp_path: Path) -> None:
    mistakes = Mistakes("l")
    told = entries([{"prompt": "a dog", "negative": "blurry", "recipe": "toybox", "set": {"steps": 3}}], mistakes)
    batch = plan.expand(told, [0], "auto", [], "cpu", mistakes)
    plan.save(batch, tmp_path / "new")
    assert plan.load(tmp_path / "new") == batch
    (tmp_path / "batch.json").write_text(
        '{"recipe": "auto", "settings": [], "device": "cpu", "rows": [{"prompt": "a dog", "seed": 0, "folder": "a-dog"}]}'
    )
    assert plan.load(tmp_path).rows == [Row("a dog", 0, "a-dog")]


def test_nothing_begins_when_a_row_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="line 2: the prior knows no object"):
        df3d.batch(["a red car", "a flurb"], out=tmp_path / "x", recipe="toybox", device="cpu")
    assert not (tmp_path / "x").exists()


def test_rows_that_share_a_recipe_share_its_plan(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    composed = []
    whole = plan.choose_plan
    monkeypatch.setattr(plan, "choose_plan", lambda *given, **more: composed.append(given) or whole(*given, **more))
    mistakes = Mistakes("l")
    found = read("".join(f"a red car\t{index}\n" for index in range(2000)).replace("\t", " "), mistakes)
    batch = plan.expand(found, [0], "toybox", [], "cpu", mistakes)
    plan.check(batch, found, catalog, mistakes)
    assert len(batch.rows) == 2000
    assert len(composed) == 1


def test_a_rows_settings_come_after_the_batchs() -> None:
    """So that they win."""
    mistakes = Mistakes("l")
    batch = plan.expand(entries([{"prompt": "a dog", "set": {"steps": 9}}], mistakes), [0], "toybox", ["steps=3"], "cpu", mistakes)
    assert batch.settings_of(batch.rows[0]) == ["steps=3", "steps=9"]


def test_a_row_with_a_seed_and_a_folder_has_that_folder() -> None:
    mistakes = Mistakes("l")
    told = entries([{"prompt": "a dog", "seed": 7, "out": "mine"}], mistakes)
    assert [row.folder for row in plan.expand(told, [0, 1], "toybox", [], "cpu", mistakes).rows] == ["mine"]
