"""What is found to be scored, and what it should show."""

from __future__ import annotations

from pathlib import Path

import pytest
from assets import write

from df3d.errors import ConfigError, RunError
from df3d.evaluation import evaluate
from df3d.evaluation.targets import find_targets, read_prompts
from df3d.plugin.catalog import Catalog


def test_prompts_are_taken_from_the_option_first(catalog: Catalog, tmp_path: Path) -> None:
    path = write(tmp_path / "a.glb", catalog)
    listed = tmp_path / "list.jsonl"
    listed.write_text('{"path": "a.glb", "prompt": "a crate"}\n')

    def prompt(*, prompt: str | None = None, prompts: Path | None = None) -> str:
        (result,) = evaluate.evaluate(find_targets([path], catalog, prompt=prompt, prompts=prompts), {}, catalog)
        return result.target.prompt

    assert prompt() == "a box"
    assert prompt(prompts=listed) == "a crate"
    assert prompt(prompt="x\x1b[2J", prompts=listed) == "x [2J"  # nothing that a terminal would obey


def test_a_list_says_of_a_run_what_it_should_show(catalog: Catalog, tmp_path: Path) -> None:
    write(tmp_path / "run" / "asset.glb", catalog)
    (tmp_path / "run" / "run.json").write_text('{"status": "finished", "asset": "asset.glb", "prompt": "a car"}')
    (tmp_path / "list.csv").write_text("path,prompt\nrun,a red car\n")
    (own,) = find_targets([tmp_path / "run"], catalog)
    (told,) = find_targets([tmp_path / "run"], catalog, prompts=tmp_path / "list.csv")
    assert (own.prompt, told.prompt) == ("a car", "a red car")


@pytest.mark.parametrize("row", ["./meshes/a.glb", "meshes//a.glb", "a.glb"])
def test_a_row_of_a_list_names_a_file_as_one_would(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, row: str
) -> None:
    (tmp_path / "meshes").mkdir()
    write(tmp_path / "meshes" / "a.glb", catalog)
    (tmp_path / "list.csv").write_text(f'path,prompt\n{row},"a red\ncar"\n', encoding="utf-8-sig")
    monkeypatch.chdir(tmp_path)
    for given in (Path("meshes"), tmp_path / "meshes"):
        (target,) = find_targets([given], catalog, prompts=tmp_path / "list.csv")
        assert target.prompt == "a red car"


def test_each_target_counts_once_and_a_wrong_one_stops_nothing(catalog: Catalog, tmp_path: Path) -> None:
    path = write(tmp_path / "a.glb", catalog)
    (tmp_path / "again").symlink_to(tmp_path)
    (tmp_path / "prompts.csv").write_text("path,prompt\na.glb,a crate\n")
    (tmp_path / "note.txt").touch()
    assert [target.prompt for target in find_targets([tmp_path, path], catalog)] == ["a crate"]
    assert [target.prompt for target in find_targets([path, tmp_path], catalog)] == ["a crate"]
    found = find_targets([tmp_path, *sorted(tmp_path.glob("*")), path], catalog)
    assert [(target.path.name, target.prompt, bool(target.problem)) for target in found] == [
        ("a.glb", "a crate", False),
        ("note.txt", "", True),
    ]
    with pytest.raises(RunError, match="note.txt` is neither a run nor a mesh file"):
        find_targets([tmp_path / "note.txt"], catalog)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("p.csv", "path,wrong\na.glb,b\n", "row 1 of .*p.csv` lacks"),
        ("p.csv", "path,prompt\na.glb,b\n./a.glb,c\n", "row 2 of .*p.csv` has another prompt"),
        ("p.jsonl", "[1]\n", "row 1 of .*p.jsonl` lacks"),
        ("q.jsonl", '\n{"path": "a", "prompt": "b\u2028c"}\n{broken\n', "line 3 is not JSON"),
        ("p.json", '{"path": "a.glb", "prompt": "b"}', "p.json"),
        ("missing.csv", None, "missing.csv"),
    ],
)
def test_a_bad_list_of_prompts_is_one_clear_error(tmp_path: Path, name: str, text: str | None, message: str) -> None:
    if text is not None:
        (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=message):
        read_prompts(tmp_path / name)


def test_links_that_lead_back_are_looked_into_once(catalog: Catalog, tmp_path: Path) -> None:
    folder = tmp_path / "meshes"
    (folder / "deep").mkdir(parents=True)
    write(folder / "a.glb", catalog)
    for name in ("up", "deep/up", "deep/again"):
        (folder / name).symlink_to(folder)
    (tmp_path / "elsewhere").mkdir()
    write(tmp_path / "elsewhere" / "b.glb", catalog)
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    assert sorted(target.path.name for target in find_targets([folder], catalog)) == ["a.glb", "b.glb"]


def test_folders_without_end_are_a_problem_and_no_crash(catalog: Catalog, tmp_path: Path) -> None:
    write(tmp_path / "a.glb", catalog)
    (tmp_path / "/".join(["d"] * 200)).mkdir(parents=True)
    found = find_targets([tmp_path], catalog)
    assert [target.path.name for target in found if not target.problem] == ["a.glb"]
    assert "more than 50 folders deep" in next(target.problem for target in found if target.problem)


def test_a_run_is_scored_for_its_own_asset_alone(catalog: Catalog, tmp_path: Path) -> None:
    """Not for a file that its run.json names somewhere else."""
    write(tmp_path / "private.glb", catalog)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "run.json").write_text('{"status": "finished", "asset": "../private.glb"}')
    (target,) = find_targets([tmp_path / "run"], catalog)
    assert "is not the name of a file in it" in target.problem


@pytest.mark.parametrize("text", ["[" * 100_000, '{"path": ["a"], "prompt": 1', "\x00"])
def test_a_list_that_is_no_list_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "list.jsonl").write_text(text)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_prompts(tmp_path / "list.jsonl")


def test_a_list_that_is_named_goes_before_those_that_lie_in_folders(tmp_path: Path) -> None:
    (tmp_path / "a.glb").touch()
    (tmp_path / "b.glb").touch()
    (tmp_path / "prompts.csv").write_text("path,prompt\na.glb,a crate\nb.glb,a box\n")
    (tmp_path / "mine.csv").write_text("path,prompt\na.glb,a chest\n")
    found = find_targets([tmp_path], Catalog.discover(), prompts=tmp_path / "mine.csv")
    assert [target.prompt for target in found] == ["a chest", "a box"]


def test_endings_are_known_in_any_case_and_found_in_order(
    catalog: Catalog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    iterdir = Path.iterdir
    monkeypatch.setattr(Path, "iterdir", lambda self: iter(sorted(iterdir(self), reverse=True)))  # as a file system may
    for name in ("c.glb", "B.GLB", "a.Obj"):
        (tmp_path / name).touch()
    assert [target.path.name for target in find_targets([tmp_path], catalog)] == ["B.GLB", "a.Obj", "c.glb"]
    (tmp_path / "LIST.CSV").write_text("path,prompt\nc.glb,a crate\n")
    assert read_prompts(tmp_path / "LIST.CSV")["c.glb"] == "a crate"


def test_a_run_keeps_its_seed_and_is_called_by_its_folder(catalog: Catalog, tmp_path: Path) -> None:
    write(tmp_path / "run" / "asset.glb", catalog)
    (tmp_path / "run" / "run.json").write_text('{"status": "finished", "asset": "asset.glb", "prompt": "a car", "seed": 3}')
    (run,) = find_targets([tmp_path / "run"], catalog)
    (file,) = find_targets([tmp_path / "run" / "asset.glb"], catalog)
    assert (run.seed, run.name) == (3, str(tmp_path / "run"))
    assert (file.seed, file.name) == (None, str(tmp_path / "run" / "asset.glb"))


def test_an_option_that_says_nothing_takes_the_prompt_away(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "a.glb").touch()
    (tmp_path / "prompts.csv").write_text("path,prompt\na.glb,a crate\n")
    assert [target.prompt for target in find_targets([tmp_path], catalog, prompt="")] == [""]


def test_of_one_target_the_first_that_has_a_prompt_counts(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "a.glb").touch()
    (tmp_path / "two").mkdir()
    (tmp_path / "two" / "b.glb").symlink_to(tmp_path / "one" / "a.glb")
    for name, prompt in (("one/prompts.csv", "a crate"), ("two/prompts.csv", "a chest")):
        (tmp_path / name).write_text(f"path,prompt\na.glb,{prompt}\nb.glb,{prompt}\n")
    assert [target.prompt for target in find_targets([tmp_path / "one", tmp_path / "two"], catalog)] == ["a crate"]


def test_a_damaged_run_alone_is_a_result_with_a_problem(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("{")
    (target,) = find_targets([tmp_path], catalog)
    assert "is damaged" in target.problem


def test_a_list_that_is_given_goes_before_one_that_lies_in_the_folder(catalog: Catalog, tmp_path: Path) -> None:
    (tmp_path / "meshes").mkdir()
    (tmp_path / "meshes" / "a.glb").touch()
    (tmp_path / "meshes" / "prompts.csv").write_text("path,prompt\na.glb,a crate\n")
    (tmp_path / "prompts.csv").write_text("path,prompt\nmeshes/a.glb,a chest\n")
    (target,) = find_targets([tmp_path / "meshes", tmp_path / "prompts.csv"], catalog)
    assert target.prompt == "a chest"
    (tmp_path / "mine.jsonl").write_text('{"path": "meshes/a.glb", "prompt": "a trunk"}')
    (target,) = find_targets([tmp_path / "meshes", tmp_path / "prompts.csv"], catalog, prompts=tmp_path / "mine.jsonl")
    assert target.prompt == "a trunk"


def test_the_path_of_a_row_goes_before_its_name(catalog: Catalog, tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.glb").touch()
    (tmp_path / "list.csv").write_text("path,prompt\na.glb,any\ny/a.glb,that of y\n")
    found = find_targets([tmp_path / "x", tmp_path / "y"], catalog, prompts=tmp_path / "list.csv")
    assert [target.prompt for target in found] == ["any", "that of y"]


def test_folders_are_looked_into_fifty_deep(catalog: Catalog, tmp_path: Path) -> None:
    for depth in (50, 51):
        folder = tmp_path / f"from{depth}" / "/".join(["d"] * depth)
        folder.mkdir(parents=True)
        (folder / "a.glb").touch()
    (target,) = find_targets([tmp_path / "from50"], catalog)
    assert target.problem == ""
    with pytest.raises(RunError, match="it lies more than 50 folders deep"):
        find_targets([tmp_path / "from51"], catalog)


@pytest.mark.parametrize("text", ["path,prompt\na.glb,\n", "path,prompt\n,a crate\n"])
def test_a_row_needs_both_its_columns(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.csv").write_text(text)
    with pytest.raises(ConfigError, match="row 1 of .* lacks"):
        read_prompts(tmp_path / "p.csv")
