"""The package's source, parsed once for all tests of the house."""

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "sightline"


@dataclass(frozen=True)
class Module:
    """One file of the package."""

    name: str
    """dotted, without `.__init__`"""
    path: Path
    text: str
    tree: ast.Module

    @property
    def folder(self) -> str:
        """The folder below `sightline` that it belongs to; empty for files of the package itself."""
        parts = self.path.relative_to(PACKAGE).parts
        return parts[0] if len(parts) > 1 else ""

    @property
    def place(self) -> str:
        """The path for messages."""
        return self.path.relative_to(ROOT).as_posix()


@pytest.fixture(scope="session")
def root() -> Path:
    """The folder of the whole project."""
    return ROOT


@pytest.fixture(scope="session")
def modules() -> list[Module]:
    """Every file of the package."""
    return [read_module(path) for path in sorted(PACKAGE.rglob("*.py"))]


def read_module(path: Path) -> Module:
    """Read and parse one file of the package."""
    text = path.read_text(encoding="utf-8")
    parts = ["sightline", *path.relative_to(PACKAGE).with_suffix("").parts]
    name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
    return Module(name, path, text, ast.parse(text, filename=str(path)))
