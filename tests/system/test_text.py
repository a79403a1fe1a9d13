"""The doors through which texts leave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from df3d.system.text import LARGEST, csv_cell, html_picture, html_picture_of, html_text, json_line, one_line, printable

CLEAR = "\x1b[2J\x1b]0;owned\x07"


def test_a_terminal_shows_and_does_not_obey() -> None:
    assert printable(f"a{CLEAR}b") == "a\\x1b[2J\\x1b]0;owned\\x07b"
    assert printable("a\u202ebdc") == "a\\u202ebdc", "text direction"
    assert printable("赤い車, é") == "赤い車, é"


def test_passwords_in_addresses_are_left_out() -> None:
    shown = printable("cannot reach https://me:hf_secret@hub.example/x")
    assert shown == "cannot reach https://***@hub.example/x"


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1", "-1+1", "@SUM(A1)", "\t=1"])
def test_no_cell_is_a_formula(text: str) -> None:
    assert not csv_cell(text).startswith(("=", "+", "-", "@", "\t", "\r"))


def test_json_is_read_back_and_safe_on_a_terminal() -> None:
    value = {"prompt": f"猫{CLEAR}\x9b2J\u202e", "list": ["a\nb"]}
    text = json_line(value)
    assert text.isprintable()
    assert "猫" in text
    assert json.loads(text) == value


def test_pages_hold_pictures_and_texts_alone() -> None:
    assert html_text('<script>"') == "&lt;script&gt;&quot;"
    assert html_picture(b"-----BEGIN OPENSSH PRIVATE KEY-----", "x") == ""
    assert html_picture(b"RIFF\x00\x00\x00\x00WAVE", "x") == ""
    assert html_picture(b"RIFF\x00\x00\x00\x00WEBP", '"x').startswith('<img alt="&quot;x" src="data:image/webp;base64,')


def test_a_user_alone_in_an_address_is_left_out_too() -> None:
    assert printable("ssh://me@host/x and http://a:b@c:80/d?e=f@g") == "ssh://***@host/x and http://***@c:80/d?e=f@g"
    assert printable("mail me@host.example") == "mail me@host.example"


def test_a_text_in_one_line_keeps_its_length() -> None:
    assert one_line("a\nb\tc\x1bd") == "a b c d"


def test_json_in_lines_stays_in_lines_and_knows_any_value() -> None:
    assert json_line({"a": [1]}, indent=1) == '{\n "a": [\n  1\n ]\n}'
    assert json_line({"path": Path("a") / "b"}) == '{"path": "a/b"}'


def test_cells_that_are_no_formula_stay_as_they_are() -> None:
    assert [csv_cell(text) for text in ("a=1", 'say "x"', 1.5, "")] == ["a=1", 'say "x"', "1.5", ""]
    assert csv_cell("@x") == "'@x"


def test_a_page_shows_what_a_terminal_would() -> None:
    assert html_text("\x1b[2J'&") == "\\x1b[2J&#x27;&amp;"
    assert html_picture(b"\x89PNG...", "x") == '<img alt="x" src="data:image/png;base64,iVBORy4uLg==">'


def test_a_picture_of_a_page_is_a_file_and_no_link(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"\x89PNG" + bytes(1_000_000))
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    assert html_picture_of(tmp_path / "a.png", "x").startswith("<img")
    assert html_picture_of(tmp_path / "link.png", "x") == ""
    assert html_picture_of(tmp_path / "gone.png", "x") == ""
    with (tmp_path / "a.png").open("r+b") as file:
        file.truncate(LARGEST + 1)
    assert html_picture_of(tmp_path / "a.png", "x") == ""
