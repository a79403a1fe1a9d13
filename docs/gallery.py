"""Make the gallery's pictures: `python docs/gallery.py RUNS` generates its prompts in the folder RUNS and writes docs/gallery."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from PIL import Image

from df3d.run.rundir import default_path

HERE = Path(__file__).parent
FRONT_PAGE = ("a peacock on a surfboard", "a red car", "a brown dog", "a green mug", "a rocket", "a dog on a table")


def main() -> None:
    runs = Path(sys.argv[1])
    prompts = re.findall(r"^## (.+)$", (HERE / "gallery.md").read_text(), re.MULTILINE)
    tiles = {}
    for prompt in prompts:
        run = runs / default_path(prompt, 0).name
        subprocess.run(["df3d", "generate", prompt, "--out", str(run), "--quiet"], check=True)
        sheet = Image.open(run / "sheet.png").convert("RGB")
        name = re.sub(r"^a dslr photo of ", "", prompt.lower())
        sheet.resize((512, 256), Image.Resampling.LANCZOS).save(HERE / "gallery" / f"{name.replace(' ', '-')}.webp", quality=80)
        side = sheet.width // 4
        tiles[name] = sheet.crop((side, 0, 2 * side, side)).resize((200, 200), Image.Resampling.LANCZOS)
    page = Image.new("RGB", (200 * len(FRONT_PAGE), 200))
    for i, name in enumerate(FRONT_PAGE):
        page.paste(tiles[name], (200 * i, 0))
    page.save(HERE / "gallery" / "made-by-df3d.webp", quality=85)


if __name__ == "__main__":
    main()
