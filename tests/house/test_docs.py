"""The documentation hangs together: links lead somewhere, and every page can be found from the index."""

import re
from pathlib import Path

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s#]+)(?:#[^)\s]*)?\)")
_CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def local_links(page: Path) -> list[Path]:
    """Find what a page links to on disk."""
    text = _CODE.sub("", page.read_text(encoding="utf-8"))
    targets = [
        target for target in _LINK.findall(text) if "://" not in target and not target.startswith("mailto:")
    ]
    return [(page.parent / target).resolve() for target in targets]


def test_links_lead_somewhere(root):
    pages = [*root.glob("*.md"), *(root / "docs").rglob("*.md")]
    broken = [
        f"{page.relative_to(root).as_posix()} links to {target}"
        for page in pages
        for target in local_links(page)
        if not target.exists()
    ]
    assert not broken, "\n".join(broken)


def test_every_page_can_be_found(root):
    found, waiting = set(), [(root / "docs" / "README.md").resolve()]
    while waiting:
        page = waiting.pop()
        if page in found or page.suffix != ".md" or not page.exists():
            continue
        found.add(page)
        waiting += local_links(page)
    pages = {path.resolve() for path in (root / "docs").rglob("*.md")}
    assert sorted(pages - found) == []
