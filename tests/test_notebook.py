"""The notebook of the docs, run from its first cell to its last."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "how-to" / "python.ipynb"


@pytest.mark.slow
def test_every_cell_runs_and_a_run_shows_its_turntable(tmp_path: Path) -> None:
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    book = nbformat.read(NOTEBOOK, as_version=4)
    manager = {"kernel_name": "python3", "resources": {"metadata": {"path": str(tmp_path)}}}
    nbclient.NotebookClient(book, timeout=300, **manager).execute()
    code = [cell for cell in book.cells if cell.cell_type == "code"]
    shown = code[0].outputs[-1]["data"]
    assert "data:image/webp;base64," in shown["text/html"]
    assert "finished" in shown["text/plain"]
    assert "1.0" in code[1].outputs[-1]["data"]["text/plain"]
    assert (tmp_path / "car" / "asset.obj").is_file()
    assert json.loads(NOTEBOOK.read_text())["cells"][1]["outputs"] == []  # kept without its output
