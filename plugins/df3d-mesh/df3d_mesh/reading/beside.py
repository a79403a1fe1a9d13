"""The files that a mesh file names: buffers, materials, textures. They lie in its folder or below, and nowhere else."""

from __future__ import annotations

import errno
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from urllib.parse import unquote

from PIL import Image

from df3d.system.files import read_plain
from df3d.system.images import LARGEST, open_picture

MOST = 1 << 30  # bytes of one such file
MOST_PIXELS = 2 * LARGEST  # of all pictures of a mesh


class Beside:
    """Finds what a file names; `refused` is why something that is there was not taken."""

    def __init__(self, path: Path) -> None:
        self.folder = path.parent
        self.refused: list[str] = []
        self._pixels = 0

    def __getitem__(self, name: str) -> bytes:
        """The content of a file.

        Raises FileNotFoundError when it is not there, and OSError when it may not be read.
        """
        try:
            return read_plain(self._find(name), MOST)
        except OSError as error:
            if not isinstance(error, FileNotFoundError):
                self.refused.append(f"`{name:.80}`: {error.strerror}")
            raise

    def picture(self, name: str, data: Callable[[], bytes], notes: list[str]) -> Image.Image | None:
        """A picture, unpacked; None, with a note, when it is not there or damaged.

        Raises ValueError when it may not be read.
        """
        try:
            found = self.open_picture(data(), name)
            found.load()
            return found
        except FileNotFoundError:
            notes.append(f"its texture `{name}` is not there")
        except OSError as error:
            if self.refused:
                raise ValueError(self.refused[0]) from None
            notes.append(f"its texture `{name}` is damaged: {error}")
        except ValueError as error:
            raise ValueError(f"its texture `{name}`: {error}") from None
        return None

    def open_picture(self, data: bytes, name: str) -> Image.Image:
        """A picture of a known format, unpacked when it is asked for.

        Raises ValueError when it is none, or too large, by itself or with those before it.
        """
        picture = open_picture(data, name)
        self._pixels += picture.width * picture.height
        if self._pixels > MOST_PIXELS:
            raise ValueError(f"its pictures have more than {MOST_PIXELS:,} pixels in all")
        return picture

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        try:
            return self._find(name).is_file()
        except OSError:
            return False

    def _find(self, name: str) -> Path:
        """As it is written, or as another system writes it: `%20`, backslashes, other capitals, a path of another machine.

        Raises OSError when there is no such file in the folder or below.
        """
        root = self.folder.resolve()
        written = name.strip()
        slashed = unquote(written).replace("\\", "/")
        foreign = re.match(r"[A-Za-z]:|/", slashed) is not None
        outside = False
        for text in dict.fromkeys((written, unquote(written), slashed, *([PurePosixPath(slashed).name] if foreign else []))):
            path = (root / text).resolve()
            if not path.is_relative_to(root):
                outside = True
            elif (found := _whatever_capitals(root, path)) is not None:
                return found
        if outside and not foreign:
            raise OSError(errno.EINVAL, "it lies outside the file's own folder", name)
        raise FileNotFoundError(errno.ENOENT, "there is no such file", name)


def _whatever_capitals(root: Path, path: Path) -> Path | None:
    """A file that is called so, but for small and capital letters; None when there is none."""
    if path.is_file():
        return path
    place = root
    for part in path.relative_to(root).parts:
        same = [child for child in (place.iterdir() if place.is_dir() else ()) if child.name.casefold() == part.casefold()]
        if not same:
            return None
        place = same[0]
    return place if place.is_file() and place.resolve().is_relative_to(root) else None
