"""Texts on their way to a terminal, or into JSON, CSV or HTML. Names, prompts and what plugins say may hold anything."""

from __future__ import annotations

import base64
import html
import json
import re
from pathlib import Path

from df3d.system.files import is_plain, read_plain

LARGEST = 50_000_000  # bytes of a picture in a page
_SECRET = re.compile(r"(?<=://)[^/\s@]+@")  # user and password in an address
_FORMULA = ("=", "+", "-", "@", "\t", "\r")  # a spreadsheet runs a cell that begins so
_PICTURES = {b"RIFF": "image/webp", b"\x89PNG": "image/png"}


def printable(text: object) -> str:
    """A text that a terminal shows and does not obey: control characters written out, passwords in addresses left out."""
    shown = "".join(letter if letter.isprintable() else letter.encode("unicode_escape").decode() for letter in str(text))
    return _SECRET.sub("***@", shown)


def one_line(text: str) -> str:
    """A text with spaces in place of control characters, for models and tables to read."""
    return "".join(letter if letter.isprintable() else " " for letter in text)


def json_line(value: object, *, indent: int | None = None) -> str:
    """JSON that is readable in any language and safe on a terminal."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=str)
    return "".join(letter if letter.isprintable() or letter == "\n" else json.dumps(letter)[1:-1] for letter in text)


def csv_cell(text: object) -> str:
    """A text for a cell of CSV, which no spreadsheet takes for a formula."""
    found = printable(text)
    return f"'{found}" if found.startswith(_FORMULA) else found


def html_text(text: object) -> str:
    """A text for a page."""
    return html.escape(printable(text))


def html_picture(data: bytes, alt: str) -> str:
    """An `img` that holds its picture; "" for bytes that are no PNG or WebP."""
    kind = next((kind for magic, kind in _PICTURES.items() if data.startswith(magic)), None)
    if kind is None or (kind == "image/webp" and data[8:12] != b"WEBP"):
        return ""
    return f'<img alt="{html_text(alt)}" src="data:{kind};base64,{base64.b64encode(data).decode()}">'


def html_picture_of(path: Path, alt: str) -> str:
    """The same of a file; "" also where none stands there, a link, or one that is too large or cannot be read."""
    try:
        return html_picture(read_plain(path, LARGEST), alt) if is_plain(path) else ""
    except OSError:
        return ""
