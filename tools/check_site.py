"""Checks the built site: every link and anchor leads somewhere, and no markup is misunderstood.

``python tools/check_site.py SITE`` prints what is wrong, a line each, and then exits with status 1.
MkDocs checks the sources only: it does not see a fence that was not understood, which swallows the
headings below it, nor that two powers, as in ``2**31..2**32``, are bold text.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What begins a line of Markdown. A comment in Python or in a shell has one `#`.
_MARKDOWN = re.compile(r"^(#{2,6} \S|```)", re.MULTILINE)
# Emphasis within a word was meant as something else, and `::` introduces code in reStructuredText.
_MISUNDERSTOOD = re.compile(r"\w*(?:\w</?(?:strong|em)>\w|::(?=\s*</p>))\w*")


class Page(HTMLParser):
    """What the check needs of one page: its anchors, its links, and the text of its code blocks."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.code: list[str] = []
        self.misunderstood = _MISUNDERSTOOD.findall(html)
        self._depth = 0
        self.feed(html)
        self.close()

    def leads(self, anchor: str) -> bool:
        """Whether the page has this anchor; an empty one is the page itself."""
        return not anchor or anchor in self.anchors

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value for name, value in attrs if value}
        self.anchors.update(values[name] for name in ("id", "name") if name in values)
        self.links += [values[name] for name in ("href", "src") if name in values]
        if tag == "pre":
            self._depth += 1
            self.code.append("")

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag == "pre"

    def handle_data(self, data: str) -> None:
        if self._depth:
            self.code[-1] += data


def faults(site: Path) -> Iterator[str]:
    """What is wrong with the site in this folder, a line each."""
    pages = {path: Page(path.read_text(encoding="utf-8")) for path in site.rglob("*.html")}
    if not pages:
        yield f"{site}: has no pages"
    for path, page in sorted(pages.items()):
        name = path.relative_to(site)
        yield from (f"{name}: {fault}" for fault in _dead_links(site, path, pages))
        for code in page.code:
            yield from (f"{name}: Markdown in code: {line}" for line in _markdown(code))
        yield from (f"{name}: misunderstood markup: {text}" for text in page.misunderstood)


def _markdown(code: str) -> Iterator[str]:
    for found in _MARKDOWN.finditer(code):
        yield code[found.start() :].splitlines()[0]


def _dead_links(site: Path, path: Path, pages: dict[Path, Page]) -> Iterator[str]:
    for link in pages[path].links:
        url = urlsplit(link)
        if url.scheme or url.netloc:
            continue
        target = path
        if url.path:
            base = site if url.path.startswith("/") else path.parent
            target = base.joinpath(unquote(url.path).lstrip("/")).resolve()
        if target.is_dir():
            target /= "index.html"
        if not target.is_file():
            yield f"dead link: {link}"
        elif target in pages and not pages[target].leads(unquote(url.fragment)):
            yield f"missing anchor: {link}"


def main() -> int:
    if len(sys.argv) != 2:
        print("usage: python tools/check_site.py SITE", file=sys.stderr)
        return 2
    found = list(faults(Path(sys.argv[1]).resolve()))
    for fault in found:
        print(fault, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
