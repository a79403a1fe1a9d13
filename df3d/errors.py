"""What can go wrong, said in one sentence with a hint on what to do next.

Df3dError                 everything a person can mend; anything else is a bug and shows a traceback
├── ConfigError           a wrong key, type or value in a recipe or `--set`
├── PromptError           a prompt that cannot be used
├── PluginError           a plugin that is missing, broken, or does not fit another
├── RunError              the run folder: in use, of another prompt, not writable, damaged
│   └── InUseError        another df3d is at work in it
├── ModelError            weights that are missing or not what they should be
├── EmptyFieldError       the field holds no surface
└── ExportError           an asset that cannot be read, or not be written in a format
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class Df3dError(Exception):
    """`message` says what is wrong and where; `hint` what to do next."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


class ConfigError(Df3dError): ...


class PromptError(Df3dError): ...


class PluginError(Df3dError): ...


class RunError(Df3dError): ...


class InUseError(RunError): ...


class ModelError(Df3dError): ...


class EmptyFieldError(Df3dError): ...


class ExportError(Df3dError): ...


def did_you_mean(wrong: str, known: Iterable[str], otherwise: str = "") -> str:
    """The hint for a misspelt name: the nearest known ones, or `otherwise`, or all there are."""
    known = sorted(known)
    near = get_close_matches(wrong, known, n=3, cutoff=0.5)
    if near:
        return f"did you mean {' or '.join(f'`{name}`' for name in near)}?"
    return otherwise or f"choose from {', '.join(f'`{name}`' for name in known) or 'nothing: there are none'}"


class Stopped(Exception):
    """The run was asked to stop and has saved a checkpoint; its folder goes on where it was."""
