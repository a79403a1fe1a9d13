"""CLIP score and CLIP R-Precision: does CLIP find the prompt, among many captions, when it sees the asset?

R-Precision is that of Park et al., "Benchmark for compositional text-to-image synthesis" (2021), as used by Dream Fields
(arXiv 2112.01455, section 4) and DreamFusion (arXiv 2209.14988, section 4.1).
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from df3d.errors import ConfigError, PromptError
from df3d.prompt import normalised
from df3d.protocols import Subject
from df3d.system.files import read_text
from df3d_clip.config import ClipScorerConfig
from df3d_clip.model import load

TIE = 1e-6  # of cosines


class ClipScorer:
    """Measures, each in colour and, with `_geo`, of the shape alone in white:

    - `score`: 100 * mean cosine similarity of the views to the prompt.
    - `r1`, `r5`, `r10`: whether the prompt is among the first so many captions for the mean of the views' vectors;
      `rank`, from 1; `view_r1`: share of single views that find it first.
    """

    def __init__(self, config: ClipScorerConfig, *, device: str = "cpu") -> None:
        self._clip = load(config, device)
        self._template = config.template
        self._pool = read_pool(Path(config.pool) if config.pool else None)
        self._vectors = self._read(self._pool)

    @torch.no_grad()
    def score(self, subject: Subject) -> dict[str, float]:
        if not subject.prompt:
            raise PromptError("there is no prompt to score against", "give one with --prompt or --prompts")
        wanted = self._read([subject.prompt])
        others = self._vectors[[normalised(caption) != normalised(subject.prompt) for caption in self._pool]]
        found: dict[str, float] = {}
        for end, images in (("", subject.color), ("_geo", subject.geometry)):
            views = self._clip.images(images)
            whole = functional.normalize(views.mean(0, keepdim=True), dim=-1)
            above, ties = beaten_by(whole, wanted, others)
            found[f"score{end}"] = 100 * float((views @ wanted.T).mean())
            found[f"rank{end}"] = float(1 + above + ties / 2)
            found |= {f"r{k}{end}": float(chance(above, ties, k)) for k in (1, 5, 10)}
            found[f"view_r1{end}"] = float(chance(*beaten_by(views, wanted, others), 1).mean())
        return found

    def _read(self, captions: list[str]) -> Tensor:
        return self._clip.texts([self._template.format(caption) for caption in captions])


def beaten_by(images: Tensor, wanted: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """For images (V, D): how many of the captions `others` (K, D) are more like each than `wanted` (1, D), and as like.

    Cosines within 1e-6 are alike: captions that are the same to the model differ by rounding.
    """
    likeness = images @ torch.cat([wanted, others]).T
    more = likeness[:, 1:] - likeness[:, :1]
    return (more > TIE).sum(1), (more.abs() <= TIE).sum(1)


def chance(above: Tensor, ties: Tensor, k: int) -> Tensor:
    """How likely the wanted caption is among the first k, if those as like as it stand in random order."""
    return ((k - above).clamp(min=0) / (ties + 1)).clamp(max=1)


def read_pool(path: Path | None) -> list[str]:
    """Captions, a line each, every one once; empty lines and lines that begin with # are left out. None: the shipped ones.

    Raises ConfigError when the file cannot be read, holds none, or is a table or JSON.
    """
    if path is not None and path.suffix.lower() in (".csv", ".tsv", ".json", ".jsonl"):
        raise ConfigError(f"the pool of captions `{path}` is not plain text", "give a text file, a caption a line")
    try:
        text = (files("df3d_clip") / "pool.txt").read_text(encoding="utf-8") if path is None else read_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the pool of captions `{path}` cannot be read: {error}", "give a text file, a caption a line") from None
    captions = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip().startswith(("{", "[", '"')):
            raise ConfigError(f"line {number} of the pool of captions `{path}` is no caption", "give plain text, a caption a line")
    if not captions:
        raise ConfigError(f"the pool of captions `{path}` is empty", "give a text file, a caption a line")
    kept: dict[str, str] = {}
    for caption in captions:
        kept.setdefault(normalised(caption), caption)
    return list(kept.values())
