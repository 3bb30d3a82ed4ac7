"""What the command line knows of `ngp` without loading anything heavy."""

import ast
import dataclasses
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from sightline.foundation.errors import InputError
from sightline.methods.ngp import config as config_module
from sightline.methods.ngp.config import INFO, NgpConfig


def test_every_field_has_help() -> None:
    tree = ast.parse(Path(config_module.__file__).read_text(encoding="utf-8"))
    body = next(n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == "NgpConfig").body
    helped = set()
    for field, after in pairwise(body):
        if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr):
            assert isinstance(field.target, ast.Name)
            assert isinstance(after.value, ast.Constant)
            assert len(str(after.value.value)) > 10
            helped.add(field.target.id)
    assert helped == {field.name for field in dataclasses.fields(NgpConfig)}


def test_presets_build_and_name_fields() -> None:
    for preset, fields in INFO.presets.items():
        config = INFO.build_config(preset)
        assert all(getattr(config, name) == value for name, value in fields.items())
    assert INFO.build_config() == NgpConfig()
    assert INFO.build_config(levels=5).levels == 5


def test_listing_needs_neither_torch_nor_numba() -> None:
    code = (
        "import sys; from sightline.methods.registry import get_method_info;"
        "get_method_info('ngp').build_config();"
        "print([name for name in ('torch', 'numba', 'cv2', 'numpy') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("levels", 0, "--levels. Give 1 or more"),
        ("learning_rate", -0.1, "--learning-rate. Give 0 or more"),
        ("largest_alpha", 1.5, "--largest-alpha. Give from 0 to 1"),
        ("log2_entries", 40, "--log2-entries. Give from 1 to 24"),
        ("finest", 8, "Give at least as many"),
    ],
)
def test_impossible_values_are_refused(field: str, value: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        INFO.build_config(**{field: value})
