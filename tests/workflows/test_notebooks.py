"""The notebooks of the documentation: kept without outputs, and run from their first cell to their last."""

import ast
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
# What takes the place of their parameters, so that each takes a minute or two.
SMALL = {
    "fit_your_photos": {"MINUTES": "0.2", "VIEWS": "16", "SIZE": "320", "SAMPLES": "24"},
    "views_from_one_image": {"OBJECTS": "8", "VIEWS": "6", "MINUTES": "0.3"},
}

LOOK = 'RUN = DATA = None\nWORK = "work"\nSIZE, VIEWS, STEPS = 64, 24, 150'


def code_cells(path: Path) -> list:
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def test_all_notebooks_are_here():
    assert {*SMALL, "look_into_a_run"} == {path.stem for path in NOTEBOOKS}


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_are_kept_without_outputs_and_are_valid(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in code_cells(path):
        assert cell.outputs == []
        assert cell.execution_count is None
        ast.parse(cell.source)
    parameters = [cell for cell in code_cells(path) if "parameters" in cell.metadata.get("tags", ())]
    for name in SMALL.get(path.stem, {}):
        assert any(re.search(rf"\b{name}\b", cell.source) for cell in parameters)
    assert "was not tested" in notebook.cells[0].source


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_notebooks_run(name, tmp_path):
    from nbclient import NotebookClient

    notebook = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    for cell in notebook.cells:
        if "parameters" in cell.metadata.get("tags", ()):
            cell.source += "\n" + "\n".join(f"{key} = {value}" for key, value in SMALL[name].items())
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    errors = [out for cell in notebook.cells for out in cell.get("outputs", ()) if out.output_type == "error"]
    assert errors == []
    pictures = [
        out
        for cell in notebook.cells
        for out in cell.get("outputs", ())
        if out.output_type == "display_data" and "image/png" in out.data
    ]
    assert len(pictures) >= 1
    if name == "fit_your_photos":
        assert (tmp_path / name / "new_views.mp4").stat().st_size > 1000
        assert (tmp_path / name / "mesh.glb").stat().st_size > 1000


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
            cell.source = LOOK
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
