"""Links in rendered pages: each rule gets an anchor, and each mention of a rule or page a link.

Also says where lines break in code: not behind a hyphen, but behind the parenthesis of a long call.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["first_sentences", "linked", "rules_in", "unbroken"]

#: From the URL of a page, with or without an anchor, to one that is relative to the page at hand.
Relative = Callable[[str], str]

_RULE = re.compile(r"\b[A-Z]{3}-[A-Z]\d+\b")
_BEGINNING = re.compile(rf"^\* \*\*({_RULE.pattern})\*\*", re.MULTILINE)
_DEFINITION = re.compile(rf"<li>(\s*(?:<p>)?\s*)<strong>({_RULE.pattern})</strong>")
_PAGE = re.compile(r"<code>(?:docs/)?((?:spec|guides|benchmarks/results)/\w+)\.md</code>")
_TAG = re.compile(r"(<[^>]+>)")
# Inside these no link is made.
_CLOSED = re.compile(r"<(/?)(a|code|pre|h[1-6]|strong)\b")
# A browser breaks a line behind a hyphen: `--json` would lose its second half. Longer words would
# not fit on a telephone.
_HYPHENATED = re.compile(r"(?<!\S)(?=\S*-)\S{2,28}(?!\S)")
_HYPHENATED_IN_PROSE = re.compile(rf"{_RULE.pattern}|\b\d{{4}}-\d\d-\d\d\b")
_LONG_CALL = re.compile(r"(\S{12}\()(?=[^\s)]{8})")
_CODE = re.compile(r"<(/?)(code|pre)\b")
_PARAGRAPH = re.compile(r"<p>(.*?)</p>", re.DOTALL)


def rules_in(specification: Path) -> dict[str, str]:
    """The identifier of each rule, and the URL of the place that states it."""
    return {
        rule: f"spec/{path.stem}.html#{rule.lower()}"
        for path in sorted(specification.glob("*.md"))
        for rule in _BEGINNING.findall(path.read_text(encoding="utf-8"))
    }


def linked(page: str, rules: dict[str, str], relative: Relative) -> str:
    """The page with anchors where rules are stated, and links where they are mentioned."""

    def to_rule(found: re.Match[str]) -> str:
        url = rules.get(found[0])
        return f'<a href="{relative(url)}">{found[0]}</a>' if url else found[0]

    def to_page(found: re.Match[str]) -> str:
        return f'<a href="{relative(found[1] + ".html")}">{found[0]}</a>'

    page = _PAGE.sub(to_page, page)
    page = "".join(_with_links(page, to_rule))
    return _DEFINITION.sub(lambda found: _anchored(found[1], found[2]), page)


def _anchored(before: str, rule: str) -> str:
    return f'<li id="{rule.lower()}">{before}<strong>{rule}</strong>'


def _with_links(page: str, to_rule: Callable[[re.Match[str]], str]) -> Iterator[str]:
    depth = 0
    for part in _TAG.split(page):
        if closed := _CLOSED.match(part):
            depth += -1 if closed[1] else 1
        yield part if depth or part.startswith("<") else _RULE.sub(to_rule, part)


def unbroken(page: str) -> str:
    """The page with rules, dates, and words in code that have hyphens, each in one line.

    A long call in code gets a place where its line may break.
    """
    return "".join(_unbroken_parts(page))


def _unbroken_parts(page: str) -> Iterator[str]:
    inside: list[str] = []
    for part in _TAG.split(page):
        if found := _CODE.match(part):
            inside = inside[:-1] if found[1] else [*inside, found[2]]
        if part.startswith("<") or "pre" in inside:
            yield part
        else:
            words = _HYPHENATED if inside else _HYPHENATED_IN_PROSE
            part = words.sub(r'<span class="unbroken">\g<0></span>', part)
            yield _LONG_CALL.sub(r"\1<wbr>", part) if inside else part


def first_sentences(page: str, length: int = 160) -> str:
    """What a search engine may show of the page: the beginning of its first paragraph."""
    found = _PARAGRAPH.search(page)
    text = html.unescape(_TAG.sub("", found[1])) if found else ""
    text = " ".join(text.split())
    if len(text) > length:
        shortened = text[:length]
        stop = max(shortened.rfind(end) for end in (". ", ": ", "; "))
        text = shortened[: stop + 1] if stop > length // 3 else shortened.rpartition(" ")[0] + " …"
    return text
