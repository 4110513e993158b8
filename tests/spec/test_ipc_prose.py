"""``spec/ipc.md`` against the classes that it describes, and against itself."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

import vfiipc
from tests.spec.vectors import SPEC
from vfiipc import IPC, TCP, TLS, Loopback, PeekResult, Pipe
from vfiipc.transport.tls.errors import Check, Code

PROSE = (SPEC / "ipc.md").read_text(encoding="utf-8")
SOURCES = sorted((SPEC.parent / "src").rglob("*.py"))
HEADINGS = re.findall(r"^#{2,3} (.+)$", PROSE, re.MULTILINE)
SECTIONS = {heading.split()[0]: heading.split(maxsplit=1)[1] for heading in HEADINGS}
RULES = re.findall(r"^\* \*\*IPC-([A-Z]\d+)\*\* ", PROSE, re.MULTILINE)
CHAPTERS: dict[str, type] = {"3": IPC, "4": TCP, "5": Loopback, "9": TLS, "10": Pipe}

# The order of the original's documentation; what is ours follows.
ORIGINAL = {
    "3": [
        "eof",
        "error",
        "accept",
        "close",
        "write",
        "read",
        "peek",
        "write_msg",
        "read_msg",
        "poll_in",
        "remote_addr",
        "local_addr",
        "getFD",
        "set_callback",
        "is_server",
        "getVersion",
        "ipc_GetVersion",
        "set_callback_stacksize",
    ],
    "4": ["connect", "listen", "accept", "close", "setFD", "setKeepalive"],
    "10": ["connect", "listen", "accept", "close"],
    "9": [
        "connect",
        "listen",
        "accept",
        "setKeyCert",
        "addCA",
        "setCA",
        "addDefaultCA",
        "setClientAuth",
        "setCheckConfig",
        "TLSError",
        "hasAuthEx",
    ],
}


class Described:
    """One section about one member: its number, the member's name and parameters, the text."""

    def __init__(self, number: str) -> None:
        self.number = number
        found = re.fullmatch(r"`(\w+)(?:\((.*)\))?`", SECTIONS[number])
        assert found is not None, f"section {number} names no member"
        self.name: str = found[1]
        self.parameters: str | None = found[2]
        self.owner = CHAPTERS[number.partition(".")[0]]
        start = PROSE.index(f"### {number} ")
        self.text = re.split(r"^## |^### ", PROSE[start + 4 :], flags=re.MULTILINE)[0]

    @property
    def member(self) -> Any:
        if hasattr(self.owner, self.name):
            return inspect.getattr_static(self.owner, self.name)
        return getattr(vfiipc, self.name, None)


DESCRIBED = [Described(number) for number in SECTIONS if re.match(r"([3459]|10)\.", number)]


def names(chapter: str) -> list[str]:
    return [entry.name for entry in DESCRIBED if entry.number.startswith(f"{chapter}.")]


def public(owner: type) -> set[str]:
    return {name for name in dir(owner) if not name.startswith("_")}


def attributes() -> set[str]:
    """What an object has beyond its class."""
    return {name for name in {**vars(TCP()), **vars(TLS())} if not name.startswith("_")}


def test_every_member_of_ipc_has_its_section() -> None:
    assert sorted(names("3")) == sorted(public(IPC) | attributes() - {"handshake_timeout_msec"})


@pytest.mark.parametrize(
    ("chapter", "owner"), [("4", TCP), ("5", Loopback), ("9", TLS), ("10", Pipe)]
)
def test_every_member_that_a_transport_adds_has_its_section(chapter: str, owner: type) -> None:
    # What is overridden counts as well, and what comes from a class between IPC and this one.
    classes = owner.__mro__[: owner.__mro__.index(IPC)]
    own = {name for kind in classes for name in vars(kind) if not name.startswith(("_", "PC_"))}
    own -= {name for name in own if name.isupper()}
    assert own
    assert own <= set(names(chapter))


def test_everything_described_exists() -> None:
    for entry in DESCRIBED:
        assert entry.member is not None or entry.name in attributes(), entry.name


@pytest.mark.parametrize("chapter", ORIGINAL)
def test_members_come_in_the_original_order(chapter: str) -> None:
    expected = ORIGINAL[chapter]
    assert names(chapter)[: len(expected)] == expected


@pytest.mark.parametrize("entry", DESCRIBED, ids=lambda entry: entry.number)
def test_every_section_speaks_of_threads_and_last_error(entry: Described) -> None:
    assert re.search(r"^\* Threads: \S", entry.text, re.MULTILINE)
    # What is no function of an object cannot leave anything there.
    without = {"last_error", "discarded", "strict", "handshake_timeout_msec"}
    without |= set(vfiipc.__all__) - {"connect", "serve"}  # connect is a member, too
    said = re.search(r"^\* `last_error`: \S", entry.text, re.MULTILINE) is not None
    assert said != (entry.name in without)


def as_function(entry: Described) -> Any:
    member = entry.member
    return member.__func__ if isinstance(member, staticmethod) else member


@pytest.mark.parametrize(
    "entry", [entry for entry in DESCRIBED if entry.parameters is not None], ids=lambda e: e.number
)
def test_parameters_and_defaults_are_those_of_the_code(entry: Described) -> None:
    expected = inspect.signature(as_function(entry)).parameters.values()
    assert written(entry.parameters or "") == [
        (parameter.name, parameter.kind is parameter.KEYWORD_ONLY, default_text(parameter))
        for parameter in expected
        if parameter.name != "self"
    ]


def written(parameters: str) -> list[tuple[str, bool, str]]:
    result, keyword_only = [], False
    for part in parameters.split(", ") if parameters else []:
        if part == "*":
            keyword_only = True
            continue
        name, _, default = part.partition("=")
        result.append((name, keyword_only, default))
    return result


def default_text(parameter: inspect.Parameter) -> str:
    if parameter.default is parameter.empty:
        return ""
    # A default that a dataclass makes anew has no text of its own.
    return "{}" if "factory" in repr(parameter.default) else repr(parameter.default)


def test_members_without_parentheses_are_no_functions() -> None:
    plain = {entry.name for entry in DESCRIBED if entry.parameters is None}
    assert plain == {"last_error", "discarded", "strict", "handshake_timeout_msec"}
    for name in plain - attributes():
        assert isinstance(inspect.getattr_static(IPC, name), property)


def test_no_call_in_the_text_names_a_member_that_does_not_exist() -> None:
    known = (
        public(IPC)
        | public(TCP)
        | public(TLS)
        | public(Pipe)
        | public(Loopback)
        | set(vfiipc.__all__)
    )
    called = set(re.findall(r"`(\w+)\([^`]*\)`", PROSE)) - {"callback"}
    assert len(called) > 25
    assert called <= known


def test_every_name_in_the_text_is_known() -> None:
    known = (
        public(IPC)
        | public(TCP)
        | public(TLS)
        | public(Pipe)
        | public(Loopback)
        | attributes()
        | set(vfiipc.__all__)
    )
    for entry in DESCRIBED:
        known |= {name for name, _, _ in written(entry.parameters or "")}
    # Of Python, of the codec, and what stands for something else.
    known |= {"TypeError", "ValueError", "TimeoutError", "OSError", "Exception", "SyncLostError"}
    known |= {"KeyboardInterrupt", "DeprecationWarning", "ResourceWarning", "SSLSocket"}
    known |= {"select", "errno", "vfiipc", "msg", "msg_id", "tls"}
    known |= {"logging", "IPC_LOGMASK", "IPCTLS_LOGMASK", "VFIIPC_LOG_PAYLOADS"}
    mentioned = set(re.findall(r"`([A-Za-z_]\w*)`", PROSE))
    assert len(mentioned) > 40
    assert mentioned <= known


def table(*header: str) -> list[list[str]]:
    """The rows of the table with this header."""
    _, found, rest = PROSE.partition(f"\n| {' | '.join(header)} |\n")
    assert found, f"no table of {header}"
    lines = rest.partition("\n\n")[0].splitlines()[1:]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert rows
    return rows


def test_the_table_of_codes_is_that_of_the_code() -> None:
    named = [code.strip("`") for code, _ in table("code", "means")]
    values = [int(getattr(TLS, name)) for name in named]
    assert values == list(range(len(Code)))


def test_the_flags_are_those_of_the_code() -> None:
    found = re.findall(r"`(IGNORE_\w+)` \((\d+)\)", PROSE)
    assert {name: int(value) for name, value in found} == {
        name: int(flag) for name, flag in Check.__members__.items()
    }


def test_the_table_of_terms_names_members() -> None:
    terms = dict(table("term", "meaning"))
    reading, _, others = terms["reading call"].partition("; ")
    named = {*re.findall(r"`(\w+)`", reading)}
    assert named == {name for name in public(IPC) if name.startswith("read")}
    assert {*re.findall(r"`(\w+)`", others)} <= public(IPC) - named


def test_the_table_of_differences_is_that_of_the_code() -> None:
    rows = table("there", "here", "why")
    here = " ".join(row[1] for row in rows)
    parameters = {
        name
        for owner in (IPC, TCP)
        for _, member in inspect.getmembers(owner, inspect.isfunction)
        for name in inspect.signature(member).parameters
    }
    named = set(re.findall(r"`(\w+)[`(=]", here)) - {"None"}
    assert named
    assert named <= public(IPC) | public(TCP) | attributes() | parameters | set(vfiipc.__all__)
    assert re.findall(r"`PeekResult\(([^`]*)\)`", here) == [", ".join(PeekResult._fields)]
    backlog = re.findall(r"`backlog=(\d+)`", here)
    for owner in (TCP, TLS, Pipe):
        default = inspect.signature(owner.listen).parameters["backlog"].default
        assert backlog == [str(default)]


def test_ipc_is_abstract() -> None:
    assert "`IPC` is abstract" in PROSE
    assert inspect.isabstract(IPC)


# The document against itself


def test_section_numbers_go_up_without_gaps() -> None:
    chapters = [number for number in SECTIONS if "." not in number]
    assert chapters == [str(number) for number in range(1, len(chapters) + 1)]
    for chapter in chapters:
        parts = [number for number in SECTIONS if number.startswith(f"{chapter}.")]
        assert parts == [f"{chapter}.{part}" for part in range(1, len(parts) + 1)]


def test_rules_go_up_without_gaps() -> None:
    assert len(RULES) > 40
    for letter in {rule[0] for rule in RULES}:
        numbers = [int(rule[1:]) for rule in RULES if rule[0] == letter]
        assert numbers == list(range(1, len(numbers) + 1))


def anchor(heading: str) -> str:
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def test_links_lead_to_the_sections_that_they_name() -> None:
    anchors = {anchor(heading): heading.split()[0] for heading in HEADINGS}
    links = re.findall(r"\[([\d.]+)\]\(#([^)]+)\)", PROSE)
    assert len(links) > 10
    for number, target in links:
        assert anchors.get(target) == number, target


def test_files_that_it_links_to_exist() -> None:
    for target in re.findall(r"\]\(([^#)]+)\)", PROSE):
        assert (SPEC / target).is_file(), target


@pytest.mark.parametrize("number", ["4.4", "4.6"])
def test_sections_of_framing_that_it_names_exist(number: str) -> None:
    assert f"[framing.md](framing.md), {number}" in PROSE
    framing = (SPEC / "framing.md").read_text(encoding="utf-8")
    assert re.search(rf"^### {re.escape(number)} ", framing, re.MULTILINE)


# The code's references to the document

REFERENCE = re.compile(r"spec/ipc\.md`{0,2}(?:, (?:section )?([\d.]*\d|\w+))?")


def references(source: Path) -> list[str]:
    return REFERENCE.findall(source.read_text(encoding="utf-8"))


def test_the_code_refers_to_sections_that_exist() -> None:
    titles = {title.lower() for title in SECTIONS.values()}
    known = titles | set(SECTIONS) | {""}
    found = {target for source in SOURCES for target in references(source)}
    assert found
    assert {target.lower() for target in found} <= known
