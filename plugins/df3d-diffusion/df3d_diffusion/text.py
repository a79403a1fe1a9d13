"""Text encoders, loaded only when a prompt is not known yet.

Encodings are kept in the user's cache folder, one small file for each text and encoder, so that a text encoder (T5 is
larger than all the rest together) is in memory once for a prompt, and never for one that was used before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from df3d.system import machine
from df3d.system.tensors import read_tensors, write_tensors

Encoder = Callable[[list[str]], Tensor]  # texts to (len(texts), L, D)


class CachedText:
    """Encodings of texts; `load` brings the encoder for those that are not on disk."""

    def __init__(self, load: Callable[[], Encoder], *, key: str, device: str) -> None:
        self._load, self._key, self._device = load, key, device
        self._folder = machine.cache_folder() / "text"

    def __call__(self, texts: list[str]) -> Tensor:
        """(len(texts), L, D)."""
        found = {text: self._read(text) for text in texts}
        if missing := [text for text, encoding in found.items() if encoding is None]:
            with torch.no_grad():
                encoder = self._load()
                for text, encoding in zip(missing, encoder(missing), strict=True):
                    found[text] = encoding.cpu()
                    self._write(text, encoding)
        return torch.stack([encoding for text in texts if (encoding := found[text]) is not None]).to(self._device)

    def _path(self, text: str) -> Path:
        digest = hashlib.sha256("\n".join((self._key, text)).encode()).hexdigest()
        return self._folder / f"{digest[:32]}.safetensors"

    def _read(self, text: str) -> Tensor | None:
        try:
            return read_tensors(self._path(text))[0]["encoding"]
        except Exception:  # not there, or damaged: it is made again
            return None

    def _write(self, text: str, encoding: Tensor) -> None:
        try:
            write_tensors(self._path(text), {"encoding": encoding.contiguous().cpu()})
        except Exception:  # a full disk takes away the cache, not the run
            return


def fingerprint(*folders: Path) -> str:
    """Changes with the weights in the folders, or files: names, sizes, and times of change."""
    inside = [path for folder in folders for path in (sorted(folder.iterdir()) if folder.is_dir() else [folder])]
    files = [path for path in inside if path.is_file()]
    return "\n".join(f"{path.resolve()} {path.stat().st_size} {path.stat().st_mtime_ns}" for path in files)
