"""`df3d plugins new`: a small plugin that works, written from the templates that come with df3d.

A template is a plugin called `my-part`; a new one is its copy under another name.
"""

from __future__ import annotations

import re
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path

from df3d.errors import ConfigError, RunError, did_you_mean
from df3d.plugin.records import KINDS

NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
USES = {  # how a run, or another command, takes up a part of each kind
    "field": 'df3d generate "a red car" --set coarse.field.use=my-part --until coarse',
    "renderer": 'df3d generate "a red car" --set coarse.renderer.use=my-part --until coarse',
    "guidance": 'df3d generate "a red car" --guidance my-part',
    "cameras": 'df3d generate "a red car" --set cameras.use=my-part',
    "penalty": 'df3d generate "a red car" --set penalties.my-part=0.1',
    "optimizer": 'df3d generate "a red car" --set optimizer.use=my-part',
    "source": "df3d generate \"a red car\" --recipe recipe.toml   # with [[stage]] and source = { use = 'my-part' }",
    "importer": "df3d render thing.off",
    "exporter": "df3d export runs/a-red-car --format my-part",
    "scorer": "df3d eval runs/a-red-car --scorer my-part",
    "launcher": "df3d batch prompts.txt --out runs/batch --launcher my-part",
}


def write(name: str, kind: str, directory: Path) -> Path:
    """Write the package `df3d-NAME` into a folder of that name in `directory`; returns the folder.

    Raises ConfigError for a name or a kind that cannot be, and RunError when the folder is there or cannot be written.
    """
    if kind not in KINDS:
        raise ConfigError(f"there is no kind `{kind}`", did_you_mean(kind, KINDS))
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"`{name}` cannot be the name of a plugin", "use small letters, digits and single hyphens, a letter first"
        )
    folder = directory / f"df3d-{name}"
    if folder.exists():
        raise RunError(f"`{folder}` is there already", "choose another name, or another --dir")
    templates = files("df3d.plugin") / "templates"
    package = f"df3d_{name.replace('-', '_')}"
    texts = {place: (templates / "common" / place).read_text() for place in ("pyproject.toml", "README.md", "noxfile.py")}
    own = templates / kind / "test_contract.py"
    texts["tests/test_contract.py"] = (own if own.is_file() else templates / "common" / "test_contract.py").read_text()
    texts |= {f"{package}/{place}": (templates / kind / place).read_text() for place in ("hooks.py", "config.py", "part.py")}
    texts[f"{package}/__init__.py"] = f'"""A {kind} for df3d."""\n'
    try:
        for place, text in texts.items():
            path = folder / place
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_renamed(text, name, kind), encoding="utf-8")
    except OSError as error:
        raise RunError(f"cannot write `{folder}`: {error.strerror}", "choose another folder with --dir") from None
    return folder


def _renamed(text: str, name: str, kind: str) -> str:
    """A template's text under another name."""
    title = "".join(word.capitalize() for word in name.split("-"))
    contract = kind.capitalize() + "Contract"
    for old, new in (
        ("USE", USES[kind]),
        ("my-part", name),
        ("my_part", name.replace("-", "_")),
        ("MyPart", title if title[0].isalpha() else f"Part{title}"),
        ("KindContract", contract),
        ("VERSION", version("df3d")),
        ("KIND", kind),
    ):
        text = text.replace(old, new)
    return text
