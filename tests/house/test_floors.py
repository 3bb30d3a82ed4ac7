"""The floors of the house: a folder imports only from folders below it, never from its neighbours."""

import ast
import re

FLOORS = {
    "foundation": 0,
    "geometry": 1,
    "captures": 2,
    "kernels": 2,
    "media": 2,
    "networks": 3,
    "rendering": 3,
    "metrics": 3,
    "photos": 3,
    "synthesis": 3,
    "methods": 4,
    "runs": 5,
    "training": 6,
    "evaluation": 6,
    "importers": 6,
    "exports": 6,
    "viewer": 6,
    "workflows": 7,
    "cli": 8,
}

# A string such as "sightline.methods.ngp.config:INFO" is an import too: a lazy one.
_LAZY = re.compile(r"^sightline(\.\w+)+(:\w+)?$")
# Names of entry point groups look like modules but import nothing.
_ENTRY_POINTS = {"sightline.methods", "sightline.formats", "sightline.importers", "sightline.exports"}


def imported_names(tree: ast.AST, package: str) -> list[tuple[int, str]]:
    """Find what a file imports from sightline, at any depth and in any branch: (line, dotted name)."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *filter(None, [base])])
            found += [(node.lineno, f"{base}.{alias.name}") for alias in node.names]
        elif isinstance(node, ast.Constant) and is_lazy_import(node.value):
            found.append((node.lineno, node.value.partition(":")[0]))
    return [(line, name) for line, name in found if name.split(".")[0] == "sightline"]


def is_lazy_import(value: object) -> bool:
    """Whether a constant is the name of a module of the package, perhaps with that of something in it."""
    return isinstance(value, str) and bool(_LAZY.match(value)) and value not in _ENTRY_POINTS


def violations(tree: ast.AST, package: str, folder: str) -> list[tuple[int, str]]:
    """Give the imports of a file in `folder` that do not go to a lower floor."""
    wrong = []
    for line, name in imported_names(tree, package):
        parts = name.split(".")
        target = parts[1] if len(parts) > 1 else ""
        # The package itself (its version) belongs to no floor.
        if target in FLOORS and target != folder and FLOORS[target] >= FLOORS[folder]:
            wrong.append((line, name))
    return wrong


def test_imports_go_downwards(modules):
    wrong = []
    for module in modules:
        if module.folder:
            package = module.name if module.path.name == "__init__.py" else module.name.rpartition(".")[0]
            for line, name in violations(module.tree, package, module.folder):
                wrong.append(f"{module.place}:{line} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_every_folder_has_a_floor(modules):
    assert {module.folder for module in modules} - {""} == set(FLOORS)


def test_violations_of_every_kind_are_seen():
    source = """
from typing import TYPE_CHECKING
import sightline.training.loop
from sightline.geometry import Cameras
from sightline import workflows, geometry
if TYPE_CHECKING:
    from sightline.networks.mlp import Mlp
def late():
    from ..runs import run
    from . import density_grid
    return import_module("sightline.methods.ngp:Ngp"), entry_points(group="sightline.methods")
"""
    found = violations(ast.parse(source), "sightline.rendering", "rendering")
    assert sorted(name for _, name in found) == [
        "sightline.methods.ngp",
        "sightline.networks.mlp.Mlp",
        "sightline.runs.run",
        "sightline.training.loop",
        "sightline.workflows",
    ]
