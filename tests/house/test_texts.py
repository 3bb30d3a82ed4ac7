"""The size of files, and words that do not belong into the project's texts."""

import pytest

LONGEST_FILE = 450
SPOKEN = ("src", "docs", "benchmarks")
SUFFIXES = {".py", ".md", ".toml", ".yaml", ".cff", ".html", ".js", ".css"}
# Places of one machine and of nobody else's.
FORBIDDEN = ("/work/", "shared/", "/root/", "/tmp/", "/home/", "C:\\Users")


def test_files_are_short(modules):
    long = {module.place: n for module in modules if (n := len(module.text.splitlines())) > LONGEST_FILE}
    assert long == {}


def test_texts_name_no_places_of_one_machine(root):
    files = [path for folder in SPOKEN for path in (root / folder).rglob("*") if path.suffix in SUFFIXES]
    files += [
        root / name for name in ("README.md", "CHANGELOG.md", "CITATION.cff", "pyproject.toml", "Makefile")
    ]
    found = []
    for path in files:
        if not path.is_file():
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            found += [
                f"{path.relative_to(root).as_posix()}:{number} says {word}"
                for word in FORBIDDEN
                if word in line
            ]
    assert len(files) > 20
    assert not found, "\n".join(found)


def test_there_is_no_grab_bag(modules):
    assert [
        module.place for module in modules if module.path.stem in {"utils", "util", "helpers", "misc"}
    ] == []


@pytest.mark.parametrize("name", ["CITATION.cff", "CHANGELOG.md"])
def test_versions_agree(root, name):
    import sightline

    text = (root / name).read_text(encoding="utf-8")
    assert sightline.__version__ in text


def test_files_of_tests_have_names_of_their_own(root):
    """Two of one name cannot be collected together."""
    names = [path.name for path in sorted((root / "tests").rglob("test_*.py"))]
    assert sorted({name for name in names if names.count(name) > 1}) == []
