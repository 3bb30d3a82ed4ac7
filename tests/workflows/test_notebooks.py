"""Notebooks of the documentation: kept without outputs, and run from the first cell to the last."""

import base64
import io
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from PIL import Image

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
SMALL = 'RUN = DATA = None\nWORK = "work"\nSIZE, VIEWS, STEPS = 64, 24, 150'


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert all(
        not cell.outputs and cell.execution_count is None for cell in notebook.cells if "outputs" in cell
    )
    assert [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]


def outputs(notebook, kind: str) -> list[str]:
    return [
        output.data[kind]
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type in ("display_data", "execute_result") and kind in output.data
    ]


@pytest.mark.slow
def test_look_into_a_run(tmp_path, monkeypatch):
    from nbclient import NotebookClient

    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.read(FOLDER / "look_into_a_run.ipynb", as_version=4)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", []):
            cell.source = SMALL
    NotebookClient(notebook, timeout=1200, resources={"metadata": {"path": str(tmp_path)}}).execute()
    pictures = outputs(notebook, "image/png")
    # Curves, a view, a ray, the box, two settings.
    assert len(pictures) == 5
    for picture in pictures:
        pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB"))
        assert pixels.std() > 10
    said = "".join(
        output.text for cell in notebook.cells for output in cell.get("outputs", []) if "text" in output
    )
    summed, rendered = map(
        float, re.search(r"by this sum ([\d.]+), as it was rendered ([\d.]+)", said).groups()
    )
    assert summed == pytest.approx(rendered, rel=0.05)
    scores = dict(re.findall(r"^(usual|coarse)\s+([\d.]+)", said, re.MULTILINE))
    assert all(float(psnr) > 18 for psnr in scores.values()), scores
    assert set(scores) == {"usual", "coarse"}
    filled = float(re.search(r"([\d.]+)% of the box is filled", said).group(1))
    assert 1 < filled < 80
    assert (tmp_path / "work" / "report.html").stat().st_size > 50_000
