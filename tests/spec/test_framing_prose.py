"""``spec/framing.md`` against the vectors, the declared format, and itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.spec.vectors import FOLDER, SPEC, Case, all_cases, as_bytes, as_messages, load
from vfiipc.codec import HEADER, MAX_DATA_SIZE, MESSAGE, Framer, encode, encode_header

PROSE = (SPEC / "framing.md").read_text(encoding="utf-8")
CASES = {case["id"]: case for case in all_cases()}
HEADINGS = re.findall(r"^#{2,3} (.+)$", PROSE, re.MULTILINE)
SECTIONS = {heading.split()[0] for heading in HEADINGS}
RULES = re.findall(r"^\* \*\*(FRM-[A-Z]\d+)\*\* ", PROSE, re.MULTILINE)
EXAMPLES = re.findall(r"^```vector (\S+)\n(.*?)^```$", PROSE, re.MULTILINE | re.DOTALL)
README = (FOLDER / "README.md").read_text(encoding="utf-8")


def section(number: str) -> str:
    """The text of one section, from its heading to the next."""
    found = re.search(rf"^#+ {re.escape(number)} .*?(?=^#)", PROSE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[0]


def table(text: str) -> list[dict[str, str]]:
    """The rows of the first table in the text, by column; code marks are left out."""
    found = re.search(r"^(\|.*\n)+", text, re.MULTILINE)
    assert found is not None
    lines = found[0].splitlines()
    names, _, *rows = ([cell.strip(" `") for cell in line.strip("|").split("|")] for line in lines)
    return [dict(zip(names, row)) for row in rows]


# The byte diagram and the declaration

DIAGRAM = table(section("2.2"))


class Field(NamedTuple):
    """One field of the header, as the byte diagram has it."""

    name: str
    offset: int
    width: int
    signed: bool


def fields_of_the_header() -> list[Field]:
    kinds = {"unsigned integer, big endian": False, "signed integer, big endian": True}
    return [
        Field(row["field"], int(row["offset"]), int(row["width"]), kinds[row["type"]])
        for row in DIAGRAM[:-1]
    ]


def test_the_diagram_names_the_declared_fields() -> None:
    assert [row["field"] for row in DIAGRAM] == [part.name for part in MESSAGE.subcons]
    header = [part.name for part in HEADER.subcons]
    assert [field.name for field in fields_of_the_header()] == header


def test_the_diagram_has_the_declared_offsets_and_widths() -> None:
    offset = 0
    for field, part in zip(fields_of_the_header(), HEADER.subcons):
        assert (field.offset, field.width) == (offset, part.sizeof())
        offset += part.sizeof()
    assert int(DIAGRAM[-1]["offset"]) == offset == HEADER.sizeof()


@pytest.mark.parametrize("field", fields_of_the_header(), ids=lambda field: field.name)
@pytest.mark.parametrize("pattern", ["01020304", "80000001", "fffffffe"])
def test_the_diagram_has_the_declared_sign_and_byte_order(field: Field, pattern: str) -> None:
    content = bytes.fromhex(pattern)
    assert len(content) == field.width
    header = bytearray(HEADER.sizeof())
    header[field.offset : field.offset + field.width] = content
    value = int.from_bytes(content, "big", signed=field.signed)
    parsed = HEADER.parse(bytes(header))
    assert parsed[field.name] == value
    assert HEADER.build(dict(parsed)) == bytes(header)


def test_the_diagram_has_the_declared_data() -> None:
    row = DIAGRAM[-1]
    assert (row["field"], row["width"], row["type"]) == ("data", "n", "bytes")
    size = next(row for row in DIAGRAM if row["field"] == "size")
    assert "4 + n" in size["meaning"]
    for n in (0, 1, 5):
        content = bytes(range(100, 100 + n))
        message = MESSAGE.build({"prefix": 1, "size": 4 + n, "msg_id": 2, "data": content})
        assert message[int(row["offset"]) :] == content
        assert MESSAGE.parse(message + b"more").data == content
        assert encode(1, 2, content) == message


def test_the_picture_shows_the_same_fields() -> None:
    found = re.search(r"^```text\n(.*?)^```$", section("2.2"), re.MULTILINE | re.DOTALL)
    assert found is not None
    _, _, border, *rows = found[1].splitlines()
    assert border == "+-" * 32 + "+"
    assert rows[1::2] == [border] * len(DIAGRAM)
    assert [row.strip("|. ") for row in rows[::2]] == [row["field"] for row in DIAGRAM]
    assert all(int(row["width"]) * 8 == border.count("-") for row in DIAGRAM[:-1])


def test_the_limits_are_those_of_the_code() -> None:
    limits = {row["quantity"]: row for row in table(section("5"))}

    def span(quantity: str) -> tuple[int, int]:
        return number(limits[quantity]["least"]), number(limits[quantity]["greatest"])

    assert_range(span("prefix"), lambda value: encode_header(value, 0, 0))
    assert_range(span("message ID"), lambda value: encode_header(0, value, 0))
    assert_range(span("n"), lambda value: encode_header(0, 0, value))
    assert_range(span("*L*"), lambda value: Framer(0, value))
    assert span("n") == (0, MAX_DATA_SIZE)
    sizes = [HEADER.parse(encode_header(0, 0, n)).size for n in span("n")]
    assert span("*S*, as sent") == tuple(sizes)


def assert_range(span: tuple[int, int], call: Callable[[int], object]) -> None:
    """Both ends are accepted, and what lies one beyond is not."""
    least, greatest = span
    call(least)
    call(greatest)
    for value in (least - 1, greatest + 1):
        with pytest.raises(ValueError, match=f"is {value}, "):
            call(value)


def number(text: str) -> int:
    """The value of ``-2**31`` or ``2**31-5``."""
    found = re.fullmatch(r"(-?)(?:(2)\*\*)?(\d+)(?:-(\d+))?", text)
    assert found is not None
    sign, power, value, less = found.groups()
    return (-1 if sign else 1) * (2 ** int(value) if power else int(value)) - int(less or 0)


# The examples and the vectors


def as_lines(text: str) -> list[tuple[str, str]]:
    """An example's lines as pairs of name and value, with continuation lines joined."""
    lines: list[tuple[str, str]] = []
    for line in text.splitlines():
        if line.startswith(" "):
            name, value = lines.pop()
            lines.append((name, f"{value} {line.strip()}"))
        else:
            name, _, value = line.partition(" ")
            lines.append((name, value.strip()))
    return lines


def as_case(text: str) -> dict[str, Any]:
    """An example in the form in which a vector is compared, see ``comparable``."""
    case: dict[str, Any] = {}
    messages = []
    for name, value in as_lines(text):
        assert name not in case, f"{name} stands twice"
        if name == "message":
            msg_id, _, data = value.partition(" ")
            messages.append((int(msg_id), bytes.fromhex(data)))
        elif name == "error":
            kind, _, position, _, found = value.split(maxsplit=4)
            case[name] = (kind, int(position), bytes.fromhex(found))
        elif name == "strict":
            case[name] = value == "yes"
        elif name in {"prefix", "input", "data", "output"}:
            case[name] = bytes.fromhex(value)
        else:
            case[name] = int(value)
    return case if "msg_id" in case else {"strict": False, **case, "messages": messages}


def comparable(case: Case) -> dict[str, Any]:
    """What a vector says, without its form; all that an example in the prose has to repeat."""
    about = {"id", "section", "rules", "needs", "title", "kind"}
    content = {name: case[name] for name in case.keys() - about}
    for name in content.keys() & {"prefix", "input", "data", "output"}:
        content[name] = as_bytes(content[name])
    if "messages" in content:
        content["messages"] = [tuple(message) for message in as_messages(content["messages"])]
    if "error" in content:
        error = content["error"]
        content["error"] = (error["class"], error["position"], as_bytes(error["found"]))
    return content


@pytest.mark.parametrize(("identifier", "text"), EXAMPLES, ids=[name for name, _ in EXAMPLES])
def test_the_example_is_the_vector(identifier: str, text: str) -> None:
    assert as_case(text) == comparable(CASES[identifier])


def test_there_are_examples_and_each_block_is_one() -> None:
    assert len(EXAMPLES) >= 10
    assert len(EXAMPLES) == PROSE.count("```vector")
    assert len({name for name, _ in EXAMPLES}) == len(EXAMPLES)


# Sections, rules, links


def test_sections_and_rules_are_unique() -> None:
    assert len(SECTIONS) == len(HEADINGS)
    assert len(set(RULES)) == len(RULES)
    assert {f"FRM-R{step}" for step in range(1, 8)} <= set(RULES)


def test_vectors_belong_to_sections_and_rules_that_exist() -> None:
    assert {case["section"] for case in CASES.values()} <= SECTIONS
    rules = {rule for case in CASES.values() for rule in case["rules"]}
    assert rules <= set(RULES)


def test_the_rules_without_a_case_are_listed_with_the_reason() -> None:
    tagged = {rule for case in CASES.values() for rule in case["rules"]}
    listed = {
        row["rule"]: row["reason"] for row in table(chapter_of_readme("Rules without a case"))
    }
    assert set(listed) == set(RULES) - tagged
    assert all(listed.values())


def chapter_of_readme(heading: str) -> str:
    return README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]


def test_every_rule_is_cited_by_the_code_or_a_test() -> None:
    root = SPEC.parent
    sources = [*(root / "src").rglob("*.py"), *(root / "tests").rglob("*.py")]
    cited = {rule for case in CASES.values() for rule in case["rules"]}
    for source in sources:
        if source != Path(__file__):
            cited |= rules_in(source.read_text(encoding="utf-8"))
    # FRM-S7 is a recommendation to applications: a sender has no parameter for a peer's limit.
    assert set(RULES) - cited <= {"FRM-S7"}


def rules_in(text: str) -> set[str]:
    """The rules that a text names; ``FRM-R2 to FRM-R4`` names three."""
    text = re.sub(
        r"(FRM-[A-Z])(\d+) to \1(\d+)",
        lambda span: " ".join(f"{span[1]}{at}" for at in range(int(span[2]), int(span[3]) + 1)),
        text,
    )
    return set(re.findall(r"\bFRM-[A-Z]\d+\b", text))


# Conformance (11)


def test_a_claim_covers_every_rule_but_recommendations_and_consequences() -> None:
    claimed = rules_in(section("11.1").partition("A case belongs")[0])
    left = set(RULES) - claimed
    assert left == {"FRM-S7"} | {rule for rule in RULES if rule.startswith("FRM-C")}
    needed = {need for case in CASES.values() for need in case["needs"]}
    assert needed == set(re.findall(r"`([\w-]+)`", section("11.1")))


def test_each_rule_is_observable_over_the_wire_in_one_way_or_not_at_all() -> None:
    rows = table(section("11.2"))
    found = [rule for row in rows for rule in sorted(rules_in(row["rules"]))]
    assert sorted(found) == sorted(RULES)


def test_rules_that_the_prose_mentions_exist() -> None:
    assert set(re.findall(r"\bFRM-[A-Z]\d+\b", PROSE)) == set(RULES)
    assert not re.search(r"(?<!-)\b[RFSEC]\d\b", PROSE)


def slug(heading: str) -> str:
    """The anchor that a heading gets on the usual renderers."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_links_lead_somewhere() -> None:
    anchors = {slug(heading) for heading in HEADINGS}
    links = re.findall(r"\]\(([^)]+)\)", PROSE)
    assert links
    for link in links:
        if link.startswith("#"):
            assert link[1:] in anchors
        else:
            assert (SPEC / link).is_file()


def test_the_key_words_are_named_and_used() -> None:
    assert "RFC 2119" in section("1.3")
    rules = "".join(section(number) for number in ("3.1", "4.3", "4.4", "4.6", "4.8"))
    for word in ("MUST", "MUST NOT", "SHOULD", "MAY"):
        assert re.search(rf"\b{word}\b", rules)


# The description of the vectors


def test_the_readme_of_the_vectors_lists_every_file() -> None:
    listed = {row["file"]: int(row["cases"]) for row in table(README.partition("\n## ")[0])}
    assert listed == {f"[{file.group}.json]({file.group}.json)": file.declared for file in load()}


def test_the_readme_of_the_vectors_describes_every_member() -> None:
    steps = [step for case in CASES.values() for step in case.get("steps", [])]
    errors = [part["error"] for part in [*CASES.values(), *steps] if "error" in part]
    names = {name for part in [*CASES.values(), *steps, *errors] for name in part}
    names |= {case["kind"] for case in CASES.values()}
    names |= {step["do"] for step in steps} | {error["class"] for error in errors}
    assert len(names) > 20
    assert sorted(name for name in names if f"`{name}`" not in README) == []
