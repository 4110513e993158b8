"""The files of ``spec/vectors``: their form, and what one member says about another."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from tests.spec.vectors import FOLDER, SPEC, Case, all_cases, as_bytes

SCHEMA = json.loads((SPEC / "vectors.schema.json").read_text(encoding="utf-8"))
VALIDATOR = Draft202012Validator(SCHEMA)
FILES = {path.name: json.loads(path.read_text(encoding="utf-8")) for path in FOLDER.glob("*.json")}
PUBLISHED = (SPEC.parent / "tests" / "spec" / "published_cases.txt").read_text(encoding="utf-8")


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("name", FILES)
def test_the_file_keeps_to_the_schema(name: str) -> None:
    assert [error.message[:300] for error in VALIDATOR.iter_errors(FILES[name])] == []


def case_of(content: Any, identifier: str) -> Case:
    found: Case = next(case for case in content["cases"] if case["id"] == identifier)
    return found


Spoil = Callable[[Case], object]
SPOILED: dict[str, tuple[str, str, Spoil]] = {
    "no needs": ("decode", "decode-nothing", lambda case: case.pop("needs")),
    "a bare rule": ("decode", "decode-nothing", lambda case: case.update(rules=["R3"])),
    "another kind": ("decode", "decode-nothing", lambda case: case.update(kind="parse")),
    "a misspelt member": ("decode", "decode-nothing", lambda case: case.update(discard=0)),
    "half a byte": ("decode", "decode-nothing", lambda case: case.update(input="a")),
    "capital digits": ("decode", "decode-nothing", lambda case: case.update(input="AB")),
    "a lenient fault": ("strict", "strict-first-byte", lambda case: case.update(strict=False)),
    "an empty step": ("sequences", "sequence-wanted", lambda case: case["steps"].append({})),
    "a set of nothing": (
        "sequences", "sequence-wanted", lambda case: case["steps"].append({"do": "set"})
    ),
    "a result and an error": (
        "send", "send-refused", lambda case: case["steps"][1].update(sent=False)
    ),
}  # fmt: skip


@pytest.mark.parametrize(("group", "identifier", "spoil"), SPOILED.values(), ids=SPOILED.keys())
def test_the_schema_refuses(group: str, identifier: str, spoil: Spoil) -> None:
    case = copy.deepcopy(case_of(FILES[f"{group}.json"], identifier))
    content = {**FILES[f"{group}.json"], "cases": [case]}
    assert VALIDATOR.is_valid(content)
    spoil(case)
    assert not VALIDATOR.is_valid(content)


def test_all_files_and_the_document_have_one_version_and_date() -> None:
    prose = (SPEC / "framing.md").read_text(encoding="utf-8")
    found = re.search(r"^Version (\S+), (\d{4}-\d\d-\d\d)\.", prose, re.MULTILINE)
    assert found is not None
    versions = {(content["version"], content["date"]) for content in FILES.values()}
    assert versions == {(found[1], found[2])}
    changes = prose.partition("\n## 12 Changes")[2]
    assert re.search(rf"^\| {re.escape(found[1])} \| {found[2]} \|", changes, re.MULTILINE)


def test_no_published_case_has_gone() -> None:
    published = PUBLISHED.split()
    present = [case["id"] for case in all_cases()]
    assert len(present) == len(set(present))
    assert set(published) <= set(present)


def test_a_new_case_is_published() -> None:
    assert {case["id"] for case in all_cases()} <= set(PUBLISHED.split())


# What a case needs follows from what it does

ORDER = ["lenient", "strict", "raw-bytes", "changing-parameters", "bytes-wanted"]
OPERATIONS = {"take": "raw-bytes", "set": "changing-parameters", "wanted": "bytes-wanted"}


def steps_of(case: Case) -> Iterator[Case]:
    for step in case.get("steps", []):
        yield step
        yield from steps_of(step)


def needs(case: Case) -> list[str]:
    if case["kind"] in ("encode", "encode-header", "encode-many", "send"):
        return ["sender"]
    if case["kind"] == "receiver":
        return ["receiver"]
    found = {"strict" if case["strict"] else "lenient"}
    for step in steps_of(case):
        if step["do"] in OPERATIONS:
            found.add(OPERATIONS[step["do"]])
        if "strict" in step:
            found |= {"lenient", "strict"}
    return [need for need in ORDER if need in found]


def test_every_case_says_what_it_needs() -> None:
    wrong = [case["id"] for case in all_cases() if case["needs"] != needs(case)]
    assert wrong == []


def test_chunks_and_counts_add_up() -> None:
    """FRM-C2, for every stream that the vectors hold."""
    for case in all_cases():
        if case["kind"] == "decode":
            size = len(as_bytes(case["input"]))
            assert sum(case.get("chunks", [size])) == size, case["id"]
            delivered = sum(
                (12 + len(as_bytes(message["data"]))) * count
                for message, count in map(counted, case["messages"])
            )
            assert delivered + case["discarded"] + case["pending"] == size, case["id"]


def counted(value: Case) -> tuple[Case, int]:
    return (value["repeat"], value["count"]) if "repeat" in value else (value, 1)
