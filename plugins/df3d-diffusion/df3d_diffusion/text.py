"""Text encoding that every pipeline family shares."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from df3d.errors import ModelError


class TextEncoder:
    """A tokenizer and a transformer; `forget` frees the transformer."""

    def __init__(self, tokenizer: Any, network: Any) -> None:
        self._tokenizer, self._network = tokenizer, network

    @torch.no_grad()
    def __call__(self, texts: list[str]) -> Tensor:
        """(len(texts), L, D), cut or padded to the tokenizer's length."""
        if self._network is None:
            raise ModelError("the text encoder is gone: prompts are encoded once, before the first step")
        length = min(self._tokenizer.model_max_length, 77)
        tokens = self._tokenizer(texts, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
        return self._network(tokens.input_ids.to(self._network.device)).last_hidden_state

    def forget(self) -> None:
        self._network = None
