"""The doors through which texts leave."""

from __future__ import annotations

import json

import pytest

from df3d.system.text import csv_cell, html_picture, html_text, json_line, printable

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
