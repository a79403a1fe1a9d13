"""Make the gallery's pictures: `python docs/gallery.py RUNS` generates its prompts in the folder RUNS and writes docs/gallery."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from PIL import Image

from df3d.run.rundir import default_path

HERE = Path(__file__).parent
SIDE, GAP = 100, 12  # of a tile, and between columns, pixels
FRONT_PAGE = ("a peacock on a surfboard", "a red car", "a brown dog", "a green mug", "a rocket", "a dog on a table")


def main() -> None:
    runs = Path(sys.argv[1])
    page = (HERE / "gallery.md").read_text()
    tiles = {}
    for prompt in re.findall(r"^## (a .+)$", page, re.MULTILINE):
        sheet = made(prompt, runs)
        name = re.sub(r"^a dslr photo of ", "", prompt.lower())
        sheet.resize((512, 256), Image.Resampling.LANCZOS).save(HERE / "gallery" / f"{name.replace(' ', '-')}.webp", quality=80)
        side = sheet.width // 4
        tiles[name] = sheet.crop((side, 0, 2 * side, side)).resize((200, 200), Image.Resampling.LANCZOS)
    front = Image.new("RGB", (200 * len(FRONT_PAGE), 200))
    for i, name in enumerate(FRONT_PAGE):
        front.paste(tiles[name], (200 * i, 0))
    front.save(HERE / "gallery" / "made-by-df3d.webp", quality=85)
    library(re.findall(r"^\d+\. (.+)$", page, re.MULTILINE), runs)


def made(prompt: str, runs: Path) -> Image.Image:
    """The sheet of a prompt's run."""
    run = runs / default_path(prompt, 0).name
    subprocess.run(["df3d", "generate", prompt, "--out", str(run), "--quiet"], check=True)
    return Image.open(run / "sheet.png").convert("RGB")


def library(prompts: list[str], runs: Path) -> None:
    """One picture of the library's prompts, each from the front, right, back and left, in columns of five."""
    page = Image.new("RGB", (4 * (4 * SIDE + GAP), 5 * SIDE), "white")
    for i, prompt in enumerate(prompts):
        sheet = made(prompt, runs)
        side = sheet.width // 4
        for k, (column, row) in enumerate(((0, 0), (2, 0), (0, 1), (2, 1))):
            tile = sheet.crop((column * side, row * side, (column + 1) * side, (row + 1) * side)).resize((SIDE, SIDE))
            page.paste(tile, (i // 5 * (4 * SIDE + GAP) + k * SIDE, i % 5 * SIDE))
    page.save(HERE / "gallery" / "library.webp", quality=80)


if __name__ == "__main__":
    main()
