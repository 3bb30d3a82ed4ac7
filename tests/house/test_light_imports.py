"""What has to be quick loads neither torch nor numba; each case runs in a process of its own."""

import os
import subprocess
import sys

import pytest

HEAVY = ("torch", "numba", "jax", "mitsuba", "cv2", "scipy", "matplotlib", "tensorboard")
LISTING = "from sightline.methods.registry import list_methods"


def loaded_by(code: str) -> list[str]:
    """Run code in a fresh process and say which heavy packages it loaded."""
    report = f"import sys; print(','.join(n for n in {HEAVY!r} if n in sys.modules), file=sys.__stdout__)"
    finished = subprocess.run(
        [sys.executable, "-c", f"{code}\n{report}"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return [name for name in finished.stdout.strip().splitlines()[-1:] if name]


@pytest.mark.parametrize(
    "code",
    [
        "import sightline",
        "import sightline.foundation.errors, sightline.foundation.files, sightline.foundation.hardware",
        "import sightline.foundation.cache",
        "import sightline.captures, sightline.cli",
        f"{LISTING}; assert 'ngp' in [method.name for method in list_methods()]",
        f"{LISTING}; [method.config_class() for method in list_methods()]",
        # Renderers run many workers: each would pay for what this loads.
        "import sightline.synthesis.farm, sightline.synthesis.still_life",
    ],
)
def test_loads_nothing_heavy(code):
    assert loaded_by(code) == []


@pytest.mark.parametrize("command", ["view", "render", "export"])
def test_help_of_a_command_loads_nothing_heavy(command):
    code = f"""
import contextlib, io
from sightline.cli.main import main
with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
    main(["{command}", "--help"])
assert "usage" in out.getvalue().lower()
"""
    assert loaded_by(code) == []


def test_help_loads_nothing_heavy():
    code = """
import contextlib, io
from sightline.cli.main import main
import sys
sys.argv = ["sightline", "--help"]
with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.redirect_stderr(out):
    try:
        code = main()
    except SystemExit as end:
        code = end.code
assert not code, code
assert "train" in out.getvalue() and "demo" in out.getvalue()
"""
    assert loaded_by(code) == []


def test_threads_wait_spinning_for_a_moment_only():
    """Unless the user says how they wait."""
    script = "import os, sightline; print(os.environ.get('GOMP_SPINCOUNT'))"
    clean = {
        key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
    }
    for given, found in (
        ({}, "20000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "active"}, "None"),
    ):
        done = subprocess.run(
            [sys.executable, "-c", script], env=clean | given, capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == found
