"""The tables of ``spec/conformance.md``; ``python -m tests.conformance.catalogue`` updates them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.helpers.source import ROOT
from vfiipc.conformance import CASES, Case
from vfiipc.conformance.cases import CHAPTERS

PAGE = ROOT / "spec" / "conformance.md"
_TABLE = re.compile(r"(?<=<!-- catalogue -->\n).*(?=<!-- end of the catalogue -->)", re.DOTALL)


def catalogue() -> str:
    """All cases, with one table per chapter."""
    return "\n" + "\n".join(_chapters()) + "\n"


def _chapters() -> Iterator[str]:
    for number, title in CHAPTERS.items():
        yield f"### {number} {title[0].upper()}{title[1:]}\n"
        yield "| ID | rule | sent | comes back |"
        yield "|---|---|---|---|"
        yield from (_row(case) for case in CASES if case.chapter == number)
        yield ""


def _row(case: Case) -> str:
    needs = "".join(
        f" ({text})"
        for needed, text in (
            (case.prefix is not None or case.limit is not None or case.needs_memory, "`--exec`"),
            (case.strict_only, "strict"),
        )
        if needed
    )
    stops = " ‡" if case.stops and not case.strict_only else ""
    return f"| {case.id} | {case.rule} | {case.title}{needs} | {case.outcome}{stops} |"


def written() -> str:
    """The tables on the page."""
    found = _TABLE.search(PAGE.read_text(encoding="utf-8"))
    assert found is not None
    return found[0]


if __name__ == "__main__":
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(_TABLE.sub(lambda _: catalogue(), text), encoding="utf-8")
