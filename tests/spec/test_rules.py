"""Rules have one identifier each; code and tests cite rules that exist, and leave out none."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from .vectors import SPEC

ROOT = SPEC.parent
DOCUMENTS = {
    "FRM": "framing.md",
    "IPC": "ipc.md",
    "CON": "connections.md",
    "NFY": "notify.md",
}
# A rule begins an item of a list; whatever stands there in bold is meant as an identifier.
BEGINNING = re.compile(r"^\* \*\*([A-Z-]*[A-Z]\d+)\*\*", re.MULTILINE)
CITATION = re.compile(rf"\b(?:{'|'.join(DOCUMENTS)})-[A-Z]\d+\b")
# A recommendation to applications: neither sender nor receiver has a parameter for a peer's limit.
FOR_APPLICATIONS = {"FRM-S7"}
# Documents that cite rules, beside those that hold them.
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
FOLDERS = ["docs", "spec", "examples", "tools", "fuzz", "benchmarks"]


def rules(prefix: str) -> list[str]:
    return BEGINNING.findall((SPEC / DOCUMENTS[prefix]).read_text(encoding="utf-8"))


def cited_in(path: Path) -> set[str]:
    return set(CITATION.findall(path.read_text(encoding="utf-8")))


def sources() -> list[Path]:
    return sorted((ROOT / "src").rglob("*.py"))


def proofs() -> list[Path]:
    """The tests that prove something: those of the documents only list rules."""
    prose = set((ROOT / "tests" / "spec").glob("test_*_prose.py")) | {Path(__file__).resolve()}
    return sorted(set((ROOT / "tests").rglob("*.py")) - prose)


def cited_by_vectors() -> set[str]:
    """The rules that the vectors name as those which decide them."""
    return {
        rule
        for path in sorted((SPEC / "vectors").rglob("*.json"))
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"]
        for rule in case["rules"]
    }


def everything_that_cites() -> Iterator[Path]:
    yield from sources()
    yield from proofs()
    yield from PAGES
    for folder in FOLDERS:
        for pattern in ("*.md", "*.py", "*.lua", "*.ksy"):
            yield from sorted((ROOT / folder).rglob(pattern))


@pytest.mark.parametrize("prefix", DOCUMENTS)
def test_identifiers_have_the_prefix_of_their_document(prefix: str) -> None:
    found = rules(prefix)
    assert len(found) > 20
    assert [rule for rule in found if not rule.startswith(f"{prefix}-")] == []


def test_identifiers_are_unique_across_the_documents() -> None:
    counts = Counter(rule for prefix in DOCUMENTS for rule in rules(prefix))
    assert [rule for rule, count in counts.items() if count > 1] == []


def test_every_rule_that_is_cited_exists() -> None:
    known = {rule for prefix in DOCUMENTS for rule in rules(prefix)}
    unknown = {
        str(path.relative_to(ROOT)): sorted(cited_in(path) - known)
        for path in everything_that_cites()
    }
    assert {path: cited for path, cited in unknown.items() if cited} == {}
    assert cited_by_vectors() <= known


@pytest.mark.parametrize("prefix", DOCUMENTS)
def test_every_rule_is_cited_by_code_or_by_a_test(prefix: str) -> None:
    cited = set().union(*(cited_in(path) for path in [*sources(), *proofs()]))
    assert sorted(set(rules(prefix)) - cited - cited_by_vectors() - FOR_APPLICATIONS) == []


def test_no_rule_is_cited_without_its_prefix() -> None:
    """``(X7)`` in a comment could be a rule of any document."""
    bare = re.compile(r"[(,] ?[A-Z]\d{1,2}(?=[,)])|\b(?:rules? )[A-Z]\d{1,2}\b")
    found = {
        str(path.relative_to(ROOT)): bare.findall(path.read_text(encoding="utf-8"))
        for path in everything_that_cites()
        if path.suffix in (".py", ".md", ".lua")
    }
    assert {path: cited for path, cited in found.items() if cited} == {}
